import { join } from "node:path";
import { MachineError } from "../../errors.ts";
import { bindingPackage } from "../home.ts";
import { lastLines, tryCommand } from "./run-command.ts";

/** Loads the binding in a process of its own and multiplies two matrices there. Returns TensorFlow's version. */
export async function verifyBinding(folder: string): Promise<string> {
  const file = join(bindingPackage(folder), "lib", "napi-v8", "tfjs_binding.node");
  const script = `
    process.env.TF_CPP_MIN_LOG_LEVEL = "3";
    const binding = require(${JSON.stringify(file)});
    const values = Float32Array.of(1, 2, 3, 4);
    const matrix = binding.createTensor([2, 2], binding.TF_FLOAT, values);
    const flag = (name) => ({ name, type: binding.TF_ATTR_BOOL, value: false });
    const attributes = [flag("transpose_a"), flag("transpose_b"), { name: "T", type: binding.TF_ATTR_TYPE, value: binding.TF_FLOAT }];
    const [product] = binding.executeOp("MatMul", attributes, [matrix, matrix], 1);
    require("node:fs").writeSync(1, JSON.stringify({ version: binding.TF_Version, product: [...binding.tensorDataSync(product.id)] }));`;
  const output = await tryCommand(process.execPath, ["-e", script]);
  const answer =
    output?.status === 0 ? (JSON.parse(output.stdout) as { version: string; product: number[] }) : undefined;
  if (answer && `${answer.product}` === "7,10,15,22") return answer.version;
  throw new MachineError(
    `native engine: expected the new binding to multiply two matrices, got ${answer ? `[${answer.product}]` : "a failure"}. ` +
      `The engine in use stays as it was.${output ? `\n${lastLines(output)}` : ""}`,
    "engine-not-working",
  );
}
