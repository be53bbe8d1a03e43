import type { Architecture } from "./architecture.ts";
import { convnexts } from "./convnext.ts";
import { densenets } from "./densenet.ts";
import { efficientnets } from "./efficientnet.ts";
import { efficientnetsV2 } from "./efficientnet-v2.ts";
import { inceptionResnetsV2 } from "./inception-resnet-v2.ts";
import { inceptionsV3 } from "./inception-v3.ts";
import { mobilenets } from "./mobilenet.ts";
import { mobilenetsV2 } from "./mobilenet-v2.ts";
import { mobilenetsV3 } from "./mobilenet-v3.ts";
import { nasnets } from "./nasnet.ts";
import { resnets } from "./resnet.ts";
import { vggs } from "./vgg.ts";
import { xceptions } from "./xception.ts";

const architectures: readonly Architecture[] = [
  vggs,
  resnets,
  mobilenets,
  mobilenetsV2,
  mobilenetsV3,
  densenets,
  inceptionsV3,
  xceptions,
  inceptionResnetsV2,
  nasnets,
  efficientnets,
  efficientnetsV2,
  convnexts,
].flat();

/** Returns every network of keras.applications. */
export function knownArchitectures(): readonly Architecture[] {
  return architectures;
}

/** Finds a network by its name in any spelling (`resnet50`, `ResNet-50`). Returns undefined if there is none. */
export function architectureOf(name: string): Architecture | undefined {
  return architectures.find((architecture) => architecture.name === plain(name));
}

function plain(name: string): string {
  return name.toLowerCase().replace(/[-_ ]/g, "");
}
