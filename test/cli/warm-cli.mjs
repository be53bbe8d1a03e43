/**
 * A process that runs one command line after the other, so that the modules and the engine are loaded once. Messages in:
 * `{ args, cwd, env }`; out: `{ code, stdout, stderr }`.
 */
const main = new URL("../../dist/cli/main.js", import.meta.url).href;
const log = console.log;
const before = { ...process.env };
let count = 0;

process.on("message", async ({ args, cwd, env }) => {
  const written = { stdout: "", stderr: "" };
  for (const name of ["stdout", "stderr"]) {
    process[name].write = (chunk, encoding, done) => {
      written[name] += typeof chunk === "string" ? chunk : Buffer.from(chunk).toString();
      const callback = typeof encoding === "function" ? encoding : done;
      if (callback) process.nextTick(callback);
      return true;
    };
  }
  for (const name of Object.keys(process.env)) if (!(name in before)) delete process.env[name];
  Object.assign(process.env, before, env);
  process.chdir(cwd);
  process.argv = [process.execPath, "finetune", ...args];
  process.exitCode = undefined;
  // A query makes a module of its own: its top level runs again, what it imports does not.
  await import(`${main}?${count++}`);
  console.log = log;
  for (const signal of ["SIGINT", "SIGTERM", "SIGHUP"]) process.removeAllListeners(signal);
  for (const stream of [process.stdout, process.stderr]) stream.removeAllListeners("error");
  process.send({ code: Number(process.exitCode ?? 0), ...written });
});
