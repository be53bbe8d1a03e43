// Serves a converted model to a browser, where TensorFlow.js classifies a photo with it.
//
//     node examples/browser/serve.ts [MODEL IMAGE PORT]
//
// Then open the address that it prints. Without arguments: a small residual network and a photo of the demo.
import { createReadStream, mkdtempSync, writeFileSync } from "node:fs";
import { createServer } from "node:http";
import { createRequire } from "node:module";
import type { AddressInfo } from "node:net";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { readCheckpoint, writeCheckpoint } from "keras-finetune";

const [
  model = "fixtures/cli/small_resnet.keras",
  image = "fixtures/demo/photos/val/brick/brick-30.jpg",
  port = "0",
] = process.argv.slice(2);

// A path without an extension is written as a folder for tf.loadLayersModel: model.json and its weights.
const folder = join(mkdtempSync(join(tmpdir(), "browser-")), "model");
const checkpoint = await readCheckpoint(model);
await writeCheckpoint(folder, checkpoint);
writeFileSync(join(folder, "labels.json"), JSON.stringify(checkpoint.notes.labels ?? []));

const tfjs = (name: string): string =>
  join(
    dirname(createRequire(import.meta.url).resolve(`@tensorflow/tfjs-${name}/package.json`)),
    "dist",
    `tf-${name}.min.js`,
  );
const page = join(import.meta.dirname, "index.html");
const files: Readonly<Record<string, string>> = {
  "/": page,
  "/image": image,
  "/tf-core.js": tfjs("core"),
  "/tf-layers.js": tfjs("layers"),
  "/tf-backend-cpu.js": tfjs("backend-cpu"),
};

const server = createServer(({ url = "/" }, response) => {
  const name = /^\/model\/([\w.-]+)$/.exec(url)?.[1];
  const file = name ? join(folder, name) : files[url];
  if (!file) return response.writeHead(404).end();
  if (file === page) response.setHeader("content-type", "text/html; charset=utf-8");
  createReadStream(file)
    .on("error", () => response.writeHead(404).end())
    .pipe(response);
});
server.listen(Number(port), "127.0.0.1", () => {
  console.log(`http://127.0.0.1:${(server.address() as AddressInfo).port}/`);
});
