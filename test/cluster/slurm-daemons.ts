import { execFileSync, spawn } from "node:child_process";
import { chmodSync, chownSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { hostname, tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as wait } from "node:timers/promises";

/** A Slurm of one node with two cores, whose state lies in a folder of its own. */
export interface Slurm {
  /** Environment of `sbatch`, `squeue`, `sacct` and their like. */
  readonly env: NodeJS.ProcessEnv;
  run(command: string, ...args: readonly string[]): string;
  stop(): Promise<void>;
}

/**
 * Starts munged, slurmctld and slurmd, and waits until the node takes jobs. Needs root and Debian's packages slurm-wlm and munge.
 *
 * @throws {Error} if one of the programs is not installed or the node stays down for a minute.
 */
export async function startSlurm(): Promise<Slurm> {
  const folder = mkdtempSync(join(tmpdir(), "slurm-"));
  const munge = join(folder, "munge");
  for (const name of ["munge", "spool", "state"]) mkdirSync(join(folder, name), { mode: 0o755 });
  // Whoever uses munge's socket must be able to reach it, and munged refuses folders that others can write to.
  chmodSync(folder, 0o755);
  const socket = join(munge, "socket");
  const key = join(munge, "key");
  writeFileSync(key, Buffer.from(Array.from({ length: 128 }, (_, index) => (index * 37) % 256)), {
    mode: 0o400,
  });
  const [uid, gid] = ["-u", "-g"].map((flag) =>
    Number(execFileSync("id", [flag, "munge"], { encoding: "utf8" })),
  ) as [number, number];
  for (const path of [munge, key]) chownSync(path, uid, gid);
  const configuration = join(folder, "slurm.conf");
  writeFileSync(
    configuration,
    `${[
      "ClusterName=test",
      `SlurmctldHost=${hostname()}`,
      "AuthType=auth/munge",
      // A requeued task waits until its former credential has expired.
      `AuthInfo=socket=${socket},cred_expire=5`,
      "CredType=cred/munge",
      "ProctrackType=proctrack/linuxproc",
      "TaskPlugin=task/none",
      "SelectType=select/cons_tres",
      "SelectTypeParameters=CR_Core",
      `SlurmdSpoolDir=${join(folder, "spool")}`,
      `StateSaveLocation=${join(folder, "state")}`,
      `SlurmctldPidFile=${join(folder, "slurmctld.pid")}`,
      `SlurmdPidFile=${join(folder, "slurmd.pid")}`,
      `SlurmctldLogFile=${join(folder, "slurmctld.log")}`,
      `SlurmdLogFile=${join(folder, "slurmd.log")}`,
      "SlurmUser=root",
      "SlurmctldPort=26817",
      "SlurmdPort=26818",
      "ReturnToService=2",
      "MinJobAge=3600",
      "SchedulerParameters=bf_interval=1,sched_interval=1",
      `NodeName=${hostname()} CPUs=2 RealMemory=16000 State=UNKNOWN`,
      "PartitionName=all Nodes=ALL Default=YES MaxTime=INFINITE State=UP",
    ].join("\n")}\n`,
  );
  const env = { ...process.env, SLURM_CONF: configuration };
  const run = (command: string, ...args: readonly string[]): string =>
    execFileSync(command, args, { env, encoding: "utf8" }).trim();
  const daemons = [
    spawn(
      "setpriv",
      [
        ...[
          `--reuid=${uid}`,
          `--regid=${gid}`,
          "--clear-groups",
          "munged",
          "--foreground",
          `--socket=${socket}`,
        ],
        ...[`--key-file=${key}`, `--pid-file=${join(munge, "pid")}`, `--log-file=${join(munge, "log")}`],
        `--seed-file=${join(munge, "seed")}`,
      ],
      { stdio: "ignore" },
    ),
    spawn("slurmctld", ["-D", "-f", configuration], { env, stdio: "ignore" }),
    spawn("slurmd", ["-D", "-f", configuration], { env, stdio: "ignore" }),
  ];
  const missing = daemons.map(
    (daemon) => new Promise<never>((_, reject) => daemon.once("error", (error) => reject(error))),
  );
  const stop = async (): Promise<void> => {
    for (const daemon of daemons.toReversed()) daemon.kill();
    await Promise.race([
      Promise.all(daemons.map((daemon) => new Promise((resolve) => daemon.once("exit", resolve)))),
      wait(10_000),
    ]);
    rmSync(folder, { recursive: true, force: true });
  };
  const ready = async (): Promise<void> => {
    for (let attempt = 0; attempt < 60; attempt++) {
      await wait(1000);
      try {
        if (/^(idle|mix)/.test(run("sinfo", "--noheader", "--format=%T"))) return;
      } catch {
        // slurmctld does not answer yet.
      }
    }
    const logs = ["slurmctld.log", "slurmd.log"].map((name) => {
      try {
        return readFileSync(join(folder, name), "utf8").slice(-2000);
      } catch {
        return `${name}: none`;
      }
    });
    throw new Error(`Slurm: expected an idle node within a minute, got none.\n${logs.join("\n")}`);
  };
  try {
    await Promise.race([ready(), ...missing]);
  } catch (error) {
    await stop();
    const { code } = error as NodeJS.ErrnoException;
    throw code === "ENOENT" ? new Error("Slurm: not installed. apt-get install slurm-wlm munge") : error;
  }
  return { env, run, stop };
}
