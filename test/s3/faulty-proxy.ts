/** A proxy between a client and the S3 server that counts requests and does harm to some. */
import { createServer, type IncomingMessage, request, type ServerResponse } from "node:http";
import { onTestFinished } from "vitest";

/**
 * Harm to one request: `busy` answers 503 SlowDown; `cut` sends half of the answer's bytes and drops the connection; `silent` never
 * answers; `slow` sends the answer in pieces, with a pause before each; `down` drops the connection at once.
 */
export type Fault = "busy" | "cut" | "silent" | "slow" | "down";

export interface FaultyProxy {
  readonly endpoint: string;
  /** Every request that came: `GET /bucket/key?query`. */
  readonly requests: string[];
}

/** Starts a proxy before `endpoint` until the test ends. `fault` says what to do to a request; undefined for no harm. */
export async function startProxy(
  endpoint: string,
  fault: (request: string) => Fault | undefined = () => undefined,
): Promise<FaultyProxy> {
  const requests: string[] = [];
  const server = createServer((incoming, answer) => {
    const line = `${incoming.method} ${incoming.url}`;
    requests.push(line);
    const harm = fault(line);
    if (harm === "down") incoming.socket.destroy();
    else if (harm === "busy") refuse(incoming, answer);
    else if (harm !== "silent") forward(endpoint, incoming, answer, harm);
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  onTestFinished(() => {
    server.closeAllConnections();
    server.close();
  });
  const address = server.address();
  const port = typeof address === "object" && address ? address.port : 0;
  return { endpoint: `http://127.0.0.1:${port}`, requests };
}

function refuse(incoming: IncomingMessage, answer: ServerResponse): void {
  incoming.resume();
  incoming.once("end", () => {
    answer.writeHead(503, { "Content-Type": "application/xml" });
    answer.end(
      '<?xml version="1.0"?><Error><Code>SlowDown</Code><Message>Please reduce your request rate.</Message></Error>',
    );
  });
}

function forward(
  endpoint: string,
  incoming: IncomingMessage,
  answer: ServerResponse,
  harm: "cut" | "slow" | undefined,
): void {
  const { method, url, headers } = incoming;
  // The signature covers the host, which stays the client's.
  const outgoing = request(`${endpoint}${url}`, { method, headers }, (found) => {
    const pieces: Buffer[] = [];
    found.on("data", (piece: Buffer) => pieces.push(piece));
    found.on("end", async () => {
      const body = Buffer.concat(pieces);
      answer.writeHead(found.statusCode ?? 500, found.headers);
      if (harm === "cut") {
        answer.write(body.subarray(0, body.length >> 1), () => answer.destroy());
        return;
      }
      if (harm === "slow") {
        const step = Math.ceil(body.length / 4);
        for (let from = 0; from < body.length; from += step) {
          await new Promise((resolve) => setTimeout(resolve, 500));
          answer.write(body.subarray(from, from + step));
        }
        answer.end();
        return;
      }
      answer.end(body);
    });
  });
  outgoing.on("error", () => answer.destroy());
  incoming.pipe(outgoing);
}
