import { EventEmitter } from "node:events";
import { createRequire } from "node:module";
import { afterEach, describe, expect, it } from "vitest";
import { tf } from "../../src/engine/tf.ts";
import { startWasmEngine } from "../../src/engine/wasm-engine.ts";
import { wasmBackendName } from "../../src/engine/wasm-name.ts";

const threads = createRequire(import.meta.url)("node:worker_threads") as { Worker: unknown };

/** Starts the backend anew. */
function start(count: number): ReturnType<typeof startWasmEngine> {
  tf.removeBackend(wasmBackendName);
  return startWasmEngine(count);
}

/** Returns the results of the kernels that divide their work, with odd sizes that no number of threads divides. */
function results(): readonly (readonly number[])[] {
  const values = (shape: number[], seed: number) => tf.randomNormal(shape, 0, 1, "float32", seed);
  return tf.tidy(() => {
    const images = values([3, 29, 27, 13], 1) as tf.Tensor4D;
    const filter = values([3, 3, 13, 17], 2) as tf.Tensor4D;
    const depthwise = values([3, 3, 13, 1], 3) as tf.Tensor4D;
    const [left, right] = [values([31, 83], 4), values([83, 37], 5)] as [tf.Tensor2D, tf.Tensor2D];
    const dy = values([3, 15, 14, 17], 6) as tf.Tensor4D;
    const window = { strides: 2, pad: "same", dilations: 1 };
    return [
      tf.conv2d(images, filter, 2, "same"),
      tf.conv2d(images, values([1, 1, 13, 40], 7) as tf.Tensor4D, 1, "valid"),
      tf.depthwiseConv2d(images, depthwise, 1, "same"),
      tf.matMul(left, right),
      tf.maxPool(images, 3, 2, "same"),
      tf.avgPool(images, 3, 2, "same"),
      tf.add(images, tf.mean(images, [0, 1, 2])),
      tf.sigmoid(images),
      tf.sum(images, [0, 1, 2]),
      tf.engine().runKernel("Conv2DBackpropFilter", { x: images, dy }, {
        ...window,
        filterShape: filter.shape,
      } as never) as tf.Tensor,
      tf.engine().runKernel("Conv2DBackpropInput", { dy, filter }, {
        ...window,
        inputShape: images.shape,
      } as never) as tf.Tensor,
    ].map((tensor) => [...tensor.dataSync()]);
  });
}

describe("the threads of the WebAssembly backend", () => {
  const { Worker } = threads;

  afterEach(() => {
    threads.Worker = Worker;
  });

  it("are one, with the reason, where no other starts", async () => {
    threads.Worker = class extends EventEmitter {
      constructor() {
        super();
        setImmediate(() => this.emit("error", new Error("Resource temporarily unavailable")));
      }
      terminate(): void {}
    };
    expect(await startWasmEngine(2)).toMatchObject({
      threads: 1,
      singleThreaded: "Resource temporarily unavailable",
    });
    expect(tf.tidy(() => tf.add(1, 2).dataSync()[0])).toBe(3);
  });

  it("compute what one thread computes, to the bit", async () => {
    const single = results();
    for (const count of [2, 3]) {
      expect(await start(count)).toMatchObject({ threads: count });
      expect(results()).toEqual(single);
    }
  });

  it("leave no global behind, and share a memory that grows", async () => {
    await start(2);
    expect("Worker" in globalThis).toBe(false);
    const large = tf.ones([40, 2 ** 20]);
    const doubled = tf.add(large, large);
    expect(tf.tidy(() => tf.min(doubled).dataSync()[0])).toBe(2);
    tf.dispose([large, doubled]);
  });

  it("compute large kernels together, and leave small ones to one of them", async () => {
    await start(2);
    const { tfjs } = (tf.backend() as unknown as { wasm: { tfjs: { getThreadsCount(): number } } }).wasm;
    const threadsOf = (size: number): number => {
      tf.tidy(() => tf.matMul(tf.ones([size, size]), tf.ones([size, size])));
      return tfjs.getThreadsCount();
    };
    expect([threadsOf(200), threadsOf(5), threadsOf(300), threadsOf(6)]).toEqual([2, 1, 2, 1]);
  });

  it("are eight at most", async () => {
    expect(await start(64)).toMatchObject({ threads: 8 });
  });
});
