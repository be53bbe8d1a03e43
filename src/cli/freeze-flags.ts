import { someText } from "../cli-api.ts";
import type { FreezePolicy } from "../index.ts";
import {
  freeze,
  freezeAllButHead,
  freezeDepth,
  freezeThrough,
  freezeUntil,
  UsageError,
  unfreeze,
} from "../index.ts";
import type { FlagsOf, OptionFlag } from "./flag.ts";
import { flag, list, sets, value } from "./flag.ts";

const group = "What is frozen";

export interface FreezeValues {
  readonly "freeze-until"?: string;
  readonly "freeze-through"?: string;
  readonly "freeze-depth"?: string;
  readonly "freeze-all-but-head"?: boolean;
  readonly freeze?: readonly string[];
  readonly unfreeze?: readonly string[];
}

/** The flags that decide what is frozen. */
export const freezeFlags: FlagsOf<FreezeValues> = {
  "freeze-until": value(
    "Freeze all layers before the first one that X matches: X and all after it train. X is a name, its beginning, a stage (conv4), a glob or a /regex/",
    "X",
    someText,
    { group },
  ),
  "freeze-through": value(
    "Freeze all layers up to the last one that X matches, and that one: what comes after X trains",
    "X",
    someText,
    { group },
  ),
  "freeze-depth": value(
    "Freeze model.layers[:N], counted as in Keras; -K: all but the last K; base:N inside the nested model base",
    "N",
    (given, refuse) => someText(typeof given === "number" ? String(given) : given, refuse),
    { group },
  ),
  "freeze-all-but-head": flag("Train only the head, the default if the head is new", group),
  freeze: list(
    "Freeze these layers too: names, stages, globs or /regexes/; may be repeated. none: train everything",
    "P,...",
    group,
  ),
  unfreeze: list("Train these layers, whatever freezes them; applied last", "P,...", group),
};

/** The mode of BatchNormalization. */
export const bnModeFlag: Readonly<Record<string, OptionFlag>> = {
  "bn-mode": sets(
    "bnMode",
    "inference: stored statistics, gamma and beta train past the cut; follow: batch statistics where it trains, as plain Keras; freeze: nothing of a BatchNormalization trains; train: batch statistics everywhere, no cache",
    "MODE",
    { group: "BatchNormalization" },
  ),
};

/**
 * Returns the policies that the flags state; none where no flag is given.
 * @throws {UsageError} for two flags that each set the cut.
 */
export function freezePolicies(values: FreezeValues): readonly FreezePolicy[] {
  const cuts = ["freeze-until", "freeze-through", "freeze-depth", "freeze-all-but-head"] as const;
  const positions = cuts.filter((name) => values[name] !== undefined);
  if (positions.length > 1) {
    throw new UsageError(
      `${positions.map((name) => `--${name}`).join(" and ")}: expected one flag that sets the cut, got ${positions.length}. ` +
        "Combine one of them with --freeze and --unfreeze.",
      "freeze-positions",
      "freeze",
    );
  }
  const policies: FreezePolicy[] = [];
  if (values["freeze-until"] !== undefined) policies.push(freezeUntil(values["freeze-until"]));
  if (values["freeze-through"] !== undefined) policies.push(freezeThrough(values["freeze-through"]));
  if (values["freeze-depth"] !== undefined) policies.push(freezeDepth(values["freeze-depth"]));
  if (values["freeze-all-but-head"]) policies.push(freezeAllButHead());
  if (values.freeze) policies.push(freeze(...values.freeze));
  if (values.unfreeze) policies.push(unfreeze(...values.unfreeze));
  return policies;
}
