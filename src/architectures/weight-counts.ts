/**
 * Returns the number of weights of a network with and without its top, which rules out most networks before any is
 * built. The counts are the same for every number of classes and every width.
 */
export function weightCounts(architecture: string): readonly number[] {
  return counts[architecture] ?? [];
}

const counts: Readonly<Record<string, readonly [whole: number, trunk: number]>> = {
  vgg16: [32, 26],
  vgg19: [38, 32],
  resnet50: [320, 318],
  resnet101: [626, 624],
  resnet152: [932, 930],
  resnet50v2: [272, 270],
  resnet101v2: [544, 542],
  resnet152v2: [816, 814],
  mobilenet: [137, 135],
  mobilenetv2: [262, 260],
  mobilenetv3small: [210, 206],
  mobilenetv3large: [266, 262],
  densenet121: [606, 604],
  densenet169: [846, 844],
  densenet201: [1006, 1004],
  inceptionv3: [378, 376],
  xception: [236, 234],
  inceptionresnetv2: [898, 896],
  nasnetmobile: [1126, 1124],
  nasnetlarge: [1546, 1544],
  efficientnetb0: [314, 312],
  efficientnetb1: [442, 440],
  efficientnetb2: [442, 440],
  efficientnetb3: [499, 497],
  efficientnetb4: [613, 611],
  efficientnetb5: [741, 739],
  efficientnetb6: [855, 853],
  efficientnetb7: [1040, 1038],
  efficientnetv2b0: [361, 359],
  efficientnetv2b1: [443, 441],
  efficientnetv2b2: [462, 460],
  efficientnetv2b3: [538, 536],
  efficientnetv2s: [672, 670],
  efficientnetv2m: [963, 961],
  efficientnetv2l: [1331, 1329],
  convnexttiny: [182, 180],
  convnextsmall: [344, 342],
  convnextbase: [344, 342],
  convnextlarge: [344, 342],
  convnextxlarge: [344, 342],
};
