/** One of our jobs of `dense-chains.mjs`: dense-chain.mjs MODEL DEPTH. Prints its figures as JSON. */
import { finetune } from "../dist/index.js";
import { chainOptions } from "./dense-chain-options.mjs";

const [model, depth] = process.argv.slice(2);
const { history } = await finetune(chainOptions(model, depth));
const peakBytes = process.resourceUsage().maxRSS * 1024;
process.stdout.write(`\n${JSON.stringify({ epochs: history.map(({ seconds }) => seconds), peakBytes })}\n`);
