/** A process of its own on the built cache: `write DIR FROM COUNT` `hold DIR`, or `churn DIR NAME`. Its features are those of cache-folder.ts. */
import { createHash } from "node:crypto";
import { openFeatureCache } from "../../../dist/features/cache/feature-cache.js";

const [task, directory, from = "0", count = "0"] = process.argv.slice(2);
const tensors = [
  { name: "block_out", shape: [4, 4, 8] },
  { name: "shortcut", shape: [10] },
];

function features(sample) {
  return [128, 10].map((size) => {
    const values = Float32Array.from(
      { length: size },
      (_, index) => Math.sin(sample * 1000 + index) * 10 ** (index % 7),
    );
    values.set([-0, Number.MIN_VALUE, 1e-40, Number.POSITIVE_INFINITY, sample]);
    return values;
  });
}

const sampleKey = (sample) => createHash("sha256").update(`sample ${sample}`).digest("hex");

/** Opens two trunks in turn, with room for one: whoever else does the same evicts what is not in use. */
async function churn(name) {
  for (let round = 0; round < 40; round++) {
    const trunkKey = round % 3 === 0 ? "shared" : `${name} ${round % 2}`;
    const cache = await openFeatureCache({ directory, trunkKey, tensors, maxBytes: 3000 });
    const kept = [];
    for (let sample = 0; sample < 3; sample++) {
      if (await cache.put(sampleKey(sample), features(sample))) kept.push(sample);
    }
    for (const sample of kept) {
      const read = await cache.get(sampleKey(sample));
      const same = read?.every(
        (values, tensor) => Buffer.compare(bytesOf(values), bytesOf(features(sample)[tensor])) === 0,
      );
      if (!same) throw new Error(`round ${round}: sample ${sample} was kept and is not there`);
    }
    await cache.close();
  }
}

const bytesOf = (values) => Buffer.from(values.buffer, values.byteOffset, values.byteLength);

if (task === "churn") {
  await churn(from);
  process.exit(0);
}

const cache = await openFeatureCache({ directory, trunkKey: "trunk", tensors });
if (task === "hold") {
  await cache.put(sampleKey(0), features(0));
  process.send("holding");
  setInterval(() => {}, 1000);
} else {
  const [first, last] = [Number(from), Number(from) + Number(count)];
  for (let sample = first; sample < last; sample++) {
    await cache.put(sampleKey(sample), features(sample));
    if (sample - first === 20) process.send("twenty");
  }
  await cache.close();
  process.disconnect();
}
