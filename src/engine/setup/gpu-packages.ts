/** @file The npm packages of the GPU's engine, each of one version with the sha512 of its archive. */
import { mkdir, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { runCommand } from "./run-command.ts";

/** The version of Dawn's package. */
export const dawnRelease = "0.6.2";

/** The version of tfjs's backend, which equals that of our tfjs-core. */
export const gpuBackendRelease = "4.22.0";

/** Bytes of the packages once they are unpacked. */
export const gpuPackagesBytes = 166_000_000;

const standIn = "@tensorflow/tfjs-core";

interface LockedPackage {
  readonly version: string;
  readonly integrity: string;
  readonly dependencies?: Readonly<Record<string, string>>;
}

const packages: Readonly<Record<string, LockedPackage>> = {
  "@tensorflow/tfjs-backend-cpu": {
    version: "4.22.0",
    integrity:
      "sha512-1u0FmuLGuRAi8D2c3cocHTASGXOmHc/4OvoVDENJayjYkS119fcTcQf4iHrtLthWyDIPy3JiPhRrZQC9EwnhLw==",
    dependencies: { "@types/seedrandom": "^2.4.28", seedrandom: "^3.0.5" },
  },
  "@tensorflow/tfjs-backend-webgpu": {
    version: gpuBackendRelease,
    integrity:
      "sha512-lvIc7Af4Tl2BCdYp43iQmSCRq3asaKT0q2xaErphXiUZ+jqeB0bQa0ZvQys1Xatvto0U4/c90DVsHPfvkn5ftg==",
    dependencies: { "@tensorflow/tfjs-backend-cpu": "4.22.0" },
  },
  "@types/seedrandom": {
    version: "2.4.34",
    integrity:
      "sha512-ytDiArvrn/3Xk6/vtylys5tlY6eo7Ane0hvcx++TKo6RxQXuVfW0AF/oeWqAj9dN29SyhtawuXstgmPlwNcv/A==",
  },
  "@webgpu/types": {
    version: "0.1.74",
    integrity:
      "sha512-lgiI4hbuLcI9unnm2cL/tvCaQU45dp0xcLWJh5uB/9MBGvIA4F8XIk7nSiBeg+K4xWGYwgZKn80LmERI5CxoTA==",
  },
  debug: {
    version: "4.4.3",
    integrity:
      "sha512-RGwwWnwQvkVfavKVt22FGLw+xYSdzARwm0ru6DhTVA3umU5hZc28V3kO4stgYryrTlLpuvgI9GiijltAjNbcqA==",
    dependencies: { ms: "^2.1.3" },
  },
  ms: {
    version: "2.1.3",
    integrity:
      "sha512-6FlzubTLZG3J2a/NVCAleEhjzq5oxgHyaCU9yYXvcLsvoVaHJq/s5xXI6/XXP6tz7R9xAOtHnSO/tXtF3WRTlA==",
  },
  seedrandom: {
    version: "3.0.5",
    integrity:
      "sha512-8OwmbklUNzwezjGInmZ+2clQmExQPvomqjL7LFqOYqtmuxRgQYqOD3mHaU+MvZn5FLUeVxVfQjwLZW/n/JFuqg==",
  },
  webgpu: {
    version: dawnRelease,
    integrity:
      "sha512-3L4GfmqJLvYUIEWJngEQY+2HQiUlAFkg8+P8NDDj3Xx5hHHIFO/r8JW+ynfqBj7kHN4mbnwO74uB+lrRtLhp4Q==",
    dependencies: { "@webgpu/types": "^0.1.72", debug: "^4.4.0" },
  },
};

/** Returns the lock file by which npm installs these archives and refuses any other. */
function lockFile(dependencies: Readonly<Record<string, string>>): object {
  const locked = Object.entries(packages).map(([name, own]) => [`node_modules/${name}`, own]);
  return {
    lockfileVersion: 3,
    requires: true,
    packages: {
      "": { dependencies },
      [`node_modules/${standIn}`]: { resolved: "tfjs-core", link: true },
      "tfjs-core": { name: standIn, version: gpuBackendRelease },
      ...Object.fromEntries(locked),
    },
  };
}

/**
 * Installs the packages in `folder` by npm, without running their installers. Our own tfjs-core takes the place of tfjs-core when they
 * are loaded, so an empty package stands for it.
 * @throws {MachineError} without npm, or if an archive has another sha512.
 */
export async function layGpuPackages(folder: string): Promise<void> {
  const own = join(folder, "tfjs-core");
  await mkdir(own, { recursive: true });
  await writeFile(
    join(own, "package.json"),
    JSON.stringify({ name: standIn, version: gpuBackendRelease, main: "index.js" }),
  );
  await writeFile(join(own, "index.js"), "module.exports = {};\n");
  const dependencies = {
    [standIn]: "file:./tfjs-core",
    "@tensorflow/tfjs-backend-webgpu": gpuBackendRelease,
    webgpu: dawnRelease,
  };
  await writeFile(join(folder, "package.json"), JSON.stringify({ private: true, dependencies }));
  await writeFile(join(folder, "package-lock.json"), JSON.stringify(lockFile(dependencies)));
  const parameters = ["ci", "--ignore-scripts", "--no-audit", "--no-fund", "--loglevel=error"];
  await runCommand(`webgpu ${dawnRelease}`, "npm", parameters, {
    code: "no-npm",
    missing: "Install npm, which comes with Node.",
    failed: "Check that npm reaches its registry.",
    folder,
  });
}
