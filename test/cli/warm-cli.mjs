/**
 * A process that runs one command line after the other in a thread that stays, so that the modules and the engine are loaded once.
 * Messages in: `{ args, cwd, env }`; out: `{ code, stdout, stderr }`.
 */
import { isMainThread, MessageChannel, parentPort, SHARE_ENV, Worker, workerData } from "node:worker_threads";

if (isMainThread) serve();
else work();

/** The process: what belongs to it, its folder and its environment, is set here. */
function serve() {
  const before = { ...process.env };
  const columns = new Int32Array(new SharedArrayBuffer(8));
  const thread = new Worker(new URL(import.meta.url), {
    env: SHARE_ENV,
    workerData: { columns, isTerminal: false },
  });
  process.on("message", ({ args, cwd, env }) => {
    for (const name of Object.keys(process.env)) if (!(name in before)) delete process.env[name];
    Object.assign(process.env, before, env);
    process.chdir(cwd);
    thread.postMessage(args);
  });
  thread.on("message", (result) => process.send(result));
  thread.on("error", (error) => process.send({ code: 1, stdout: "", stderr: String(error.stack) }));
}

/** The thread: runs the module that the command line's own thread runs. */
function work() {
  const log = console.log;
  let count = 0;
  parentPort.on("message", async (args) => {
    const written = { stdout: "", stderr: "" };
    for (const name of ["stdout", "stderr"]) {
      process[name].write = (chunk, encoding, done) => {
        written[name] += typeof chunk === "string" ? chunk : Buffer.from(chunk).toString();
        const callback = typeof encoding === "function" ? encoding : done;
        if (callback) process.nextTick(callback);
        return true;
      };
    }
    const { port1, port2 } = new MessageChannel();
    workerData.port = port2;
    process.argv = [process.execPath, "finetune", ...args];
    process.exitCode = undefined;
    // A query makes a module of its own: its top level runs again, what it imports does not.
    await import(`../../dist/bundle/work.js?${count++}`);
    port1.close();
    console.log = log;
    parentPort.postMessage({ code: Number(process.exitCode ?? 0), ...written });
  });
}
