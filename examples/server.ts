// Answers over HTTP what a model says of images. The weights are on the engine once; requests that wait at the same time are one batch.
//
//     node examples/server.ts [MODEL PORT]
//
// Then send it an image: curl --data-binary @photo.jpg --header "content-type: image/jpeg" http://127.0.0.1:PORT/predict
// Without arguments: a small residual network, on a free port that it prints. In a project of your own, npm install fastify too.
import fastify from "fastify";
import { createPredictor, DataError, readCheckpoint } from "keras-finetune";

const [model = "fixtures/cli/small_resnet.keras", port = "0"] = process.argv.slice(2);
const predictor = await createPredictor(await readCheckpoint(model));

const server = fastify({ bodyLimit: 20_000_000 });
server.addContentTypeParser(/^image\//, { parseAs: "buffer" }, (_request, body, done) => done(null, body));
server.post("/predict", async ({ body }, reply) => {
  try {
    const [said] = await predictor.predictImages([body as Buffer], { top: 3 });
    return said;
  } catch (error) {
    if (error instanceof DataError) return reply.code(400).send({ error: error.message });
    throw error;
  }
});
server.addHook("onClose", async () => predictor.dispose());
process.once("SIGTERM", () => void server.close());

console.log(await server.listen({ port: Number(port), host: "127.0.0.1" }));
