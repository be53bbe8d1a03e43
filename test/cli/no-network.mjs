/** Loaded before the command: writes the stack of each attempt to reach another machine into NETWORK_LOG, and refuses it. */
import dgram from "node:dgram";
import dns from "node:dns";
import { appendFileSync } from "node:fs";
import net from "node:net";

function refuse(what) {
  return (...args) => {
    appendFileSync(process.env.NETWORK_LOG, `${what} ${JSON.stringify(args[0] ?? null)}\n`);
    throw new Error(`no network in this test: ${what}`);
  };
}

net.Socket.prototype.connect = refuse("connect");
dgram.createSocket = refuse("dgram");
dns.lookup = refuse("lookup");
dns.promises.lookup = refuse("lookup");
globalThis.fetch = refuse("fetch");
