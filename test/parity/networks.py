"""The networks of the tests, by name."""

import random as python_random

import keras
from keras import layers


def resnet50(size=224, classes=1000, branch=1.0):
    """`branch`: what the last scales of each block's branch start from; small ones keep rounding from growing block by block."""
    model = keras.applications.ResNet50(weights=None, input_shape=(size, size, 3), classes=classes)
    for layer in model.layers:
        if layer.name.endswith("_3_bn"):
            layer.gamma.assign(layer.gamma * branch)
    return model


def mobilenet_v2(size=224):
    return keras.applications.MobileNetV2(weights=None, input_shape=(size, size, 3))


def densenet121(size=224):
    return keras.applications.DenseNet121(weights=None, input_shape=(size, size, 3))


def vgg16(size=224, units=4096):
    """VGG16 with Dense layers of `units`."""
    if units == 4096:
        return keras.applications.VGG16(weights=None, input_shape=(size, size, 3))
    base = keras.applications.VGG16(weights=None, input_shape=(size, size, 3), include_top=False)
    x = layers.Flatten(name="flatten")(base.output)
    x = layers.Dense(units, activation="relu", name="fc1")(x)
    x = layers.Dense(units, activation="relu", name="fc2")(x)
    return keras.Model(base.input, layers.Dense(1000, activation="softmax", name="predictions")(x))


def transfer(size=96, dropout=0.2):
    """The transfer-learning guide's model: a base called in inference mode, between rescaling and a head."""
    base = keras.applications.MobileNet(weights=None, input_shape=(size, size, 3), alpha=0.25, include_top=False)
    inputs = keras.Input((size, size, 3))
    x = layers.Rescaling(1 / 127.5, offset=-1)(inputs)
    x = base(x, training=False)
    x = layers.GlobalAveragePooling2D()(x)
    x = layers.Dropout(dropout)(x)
    return keras.Model(inputs, layers.Dense(7, activation="softmax", name="head")(x))


def chain(units=3, activation="softmax", separate=None, regularizer=None):
    """Dense layers. `separate`: the last activation as a layer: "Activation" or "Softmax"."""
    model = keras.Sequential(
        [
            keras.Input((5,)),
            layers.Dense(7, activation="tanh", name="first", kernel_regularizer=regularizer),
            layers.Dense(6, activation="gelu", name="second", kernel_regularizer=regularizer, bias_regularizer=regularizer),
            layers.Dense(units, activation=None if separate else activation, name="head", kernel_regularizer=regularizer),
        ]
    )
    if separate == "Activation":
        model.add(layers.Activation(activation, name="scores"))
    if separate == "Softmax":
        model.add(layers.Softmax(name="scores"))
    return model


def residual(scale=True, center=True, regularizer=None):
    """A stem and two residual blocks, the first with a projection."""
    norm = {"scale": scale, "center": center, "momentum": 0.9}
    if regularizer:
        norm |= {"gamma_regularizer": regularizer, "beta_regularizer": regularizer}
    conv = {"use_bias": False, "padding": "same", "kernel_regularizer": regularizer}
    inputs = keras.Input((8, 8, 3))
    x = layers.Conv2D(4, 3, name="stem", **conv)(inputs)
    x = layers.ReLU(name="stem_relu")(layers.BatchNormalization(name="stem_bn", **norm)(x))
    for block, width in (("block1", 6), ("block2", 6)):
        stride = 2 if block == "block1" else 1
        y = layers.Conv2D(4, 1, strides=stride, name=f"{block}_1", **conv)(x)
        y = layers.ReLU(name=f"{block}_1_relu")(layers.BatchNormalization(name=f"{block}_1_bn", **norm)(y))
        y = layers.Conv2D(width, 3, name=f"{block}_2", **conv)(y)
        y = layers.BatchNormalization(name=f"{block}_2_bn", **norm)(y)
        if stride == 2:
            x = layers.Conv2D(width, 1, strides=2, name=f"{block}_0", **conv)(x)
            x = layers.BatchNormalization(name=f"{block}_0_bn", **norm)(x)
        x = layers.ReLU(name=f"{block}_out")(layers.Add(name=f"{block}_add")([x, y]))
    x = layers.GlobalAveragePooling2D(name="pool")(x)
    return keras.Model(inputs, layers.Dense(3, activation="softmax", name="head")(x))


def depthwise(scale=True, center=True, regularizer=None):
    """An inverted residual, a separable convolution and pools of both kinds."""
    norm = {"scale": scale, "center": center, "momentum": 0.8, "epsilon": 1e-2}
    inputs = keras.Input((9, 9, 4))
    x = layers.Conv2D(6, 1, use_bias=False, name="expand", kernel_regularizer=regularizer)(inputs)
    x = layers.ReLU(6.0, name="expand_relu")(layers.BatchNormalization(name="expand_bn", **norm)(x))
    x = layers.DepthwiseConv2D(3, padding="same", name="dw", depthwise_regularizer=regularizer)(x)
    x = layers.Activation("swish", name="dw_swish")(layers.BatchNormalization(name="dw_bn", **norm)(x))
    x = layers.Conv2D(4, 1, name="project")(x)
    x = layers.Add(name="add")([inputs, x])
    x = layers.MaxPooling2D(3, strides=2, padding="same", name="max")(x)
    x = layers.SeparableConv2D(
        5, 3, padding="same", name="separable", depthwise_regularizer=regularizer, pointwise_regularizer=regularizer
    )(x)
    x = layers.BatchNormalization(name="separable_bn", **norm)(x)
    x = layers.AveragePooling2D(2, name="average")(x)
    x = layers.Flatten(name="flat")(x)
    return keras.Model(inputs, layers.Dense(3, activation="softmax", name="head")(x))


def two_sides():
    """A convolution, a pool and one unit that decides between two classes."""
    inputs = keras.Input((12, 12, 3))
    x = layers.Conv2D(6, 3, padding="same", use_bias=False, name="conv")(inputs)
    x = layers.ReLU(name="relu")(layers.BatchNormalization(name="bn")(x))
    x = layers.Flatten(name="flat")(layers.MaxPooling2D(2, name="pool")(x))
    return keras.Model(inputs, layers.Dense(1, activation="sigmoid", name="head")(x))


def nested():
    """A model in a model in a model, beside a Sequential one, between two inputs and a head."""
    deep_in = keras.Input((6, 6, 4))
    y = layers.Conv2D(4, 3, padding="same", use_bias=False, name="deep_conv")(deep_in)
    deep = keras.Model(deep_in, layers.BatchNormalization(name="bn", momentum=0.7)(y), name="deep")
    middle_in = keras.Input((6, 6, 3))
    x = layers.Conv2D(4, 1, name="conv", activation="elu")(middle_in)
    x = layers.Add(name="add")([x, deep(x)])
    middle = keras.Model(middle_in, layers.GlobalMaxPooling2D(name="pool")(x), name="middle")
    side = keras.Sequential(
        [keras.Input((5,)), layers.Dense(6, name="fc"), layers.BatchNormalization(name="bn"), layers.ReLU()], name="side"
    )
    image, numbers = keras.Input((6, 6, 3), name="image"), keras.Input((5,), name="numbers")
    x = layers.Concatenate(name="join")([middle(image), side(numbers)])
    return keras.Model([image, numbers], layers.Dense(3, activation="softmax", name="head")(x))


def shared():
    """A convolution and a nested model that are each called twice."""
    twice_in = keras.Input((6, 6, 4))
    twice = keras.Model(twice_in, layers.Conv2D(4, 3, padding="same", activation="tanh", name="conv")(twice_in), name="twice")
    conv = layers.Conv2D(4, 3, padding="same", name="again")
    inputs = keras.Input((6, 6, 4))
    x = twice(conv(inputs))
    x = layers.Maximum(name="max")([twice(x), conv(x)])
    x = layers.GlobalAveragePooling2D(name="pool")(x)
    return keras.Model(inputs, layers.Dense(3, activation="softmax", name="head")(x))


def dense_prediction():
    """A class at every position."""
    inputs = keras.Input((6, 6, 3))
    x = layers.Conv2D(4, 3, strides=2, padding="same", activation="relu", name="down")(inputs)
    x = layers.UpSampling2D(2, name="up")(x)
    x = layers.Concatenate(name="skip")([x, inputs])
    return keras.Model(inputs, layers.Conv2D(3, 1, activation="softmax", name="head")(x))


def sequence(cell="GRU", every=False, wrapped=False):
    """Words, some of them padding, through a recurrent layer: a class at the end, or one at every word."""
    words = keras.Input((6,), dtype="int32")
    x = layers.Embedding(9, 4, mask_zero=True, name="words")(words)
    layer = getattr(layers, cell)(5, return_sequences=every, name="steps")
    x = (layers.Bidirectional(layer, name="both") if wrapped else layer)(x)
    return keras.Model(words, layers.Dense(3, activation="softmax", name="head")(x))


def attention():
    """Two blocks of a transformer, its words masked."""
    words = keras.Input((6,), dtype="int32")
    x = layers.Embedding(9, 8, mask_zero=True, name="words")(words)
    for block in ("block1", "block2"):
        y = layers.MultiHeadAttention(2, 4, name=f"{block}_attention")(x, x)
        x = layers.LayerNormalization(name=f"{block}_norm")(layers.Add(name=f"{block}_add")([x, y]))
        y = layers.Dense(8, activation="gelu", name=f"{block}_fc")(x)
        x = layers.LayerNormalization(name=f"{block}_fc_norm")(layers.Add(name=f"{block}_fc_add")([x, y]))
    x = layers.GlobalAveragePooling1D(name="pool")(x)
    return keras.Model(words, layers.Dense(3, activation="softmax", name="head")(x))


VOCABULARY = ["the", "film", "was", "dull", "delight", "café", "never"]


def texts(summary="pool", mask=True, binary=False):
    """A classifier of texts: a vocabulary, an Embedding, and what makes one row of its rows."""
    text = keras.Input((1,), dtype="string", name="text")
    x = layers.TextVectorization(output_sequence_length=10, vocabulary=VOCABULARY, name="vectorize")(text)
    x = layers.Embedding(9, 5, mask_zero=mask, name="words")(x)
    if summary == "lstm":
        x = layers.Bidirectional(layers.LSTM(4, name="steps"), name="both")(x)
    elif summary == "convolution":
        x = layers.GlobalMaxPooling1D(name="pool")(layers.Conv1D(6, 3, activation="relu", name="ngrams")(x))
    else:
        x = layers.GlobalAveragePooling1D(name="pool")(x)
    x = layers.Dense(6, activation="tanh", name="hidden")(x)
    return keras.Model(text, layers.Dense(1 if binary else 3, activation="sigmoid" if binary else "softmax", name="head")(x))


def counted(mode="tf_idf", ngrams=2):
    """Texts as rows that count words and pairs of them."""
    weights = {"idf_weights": [0.3 + 0.2 * index for index in range(7)]} if mode == "tf_idf" else {}
    vectorize = layers.TextVectorization(output_mode=mode, ngrams=ngrams, vocabulary=VOCABULARY, name="vectorize", **weights)
    head = [layers.Dense(6, activation="relu", name="hidden"), layers.Dense(3, activation="softmax", name="head")]
    return keras.Sequential([keras.Input((1,), dtype="string", name="text"), vectorize, *head])


def hashed_columns():
    """A column of words, looked up and hashed, and one of whole numbers."""
    word, year = keras.Input((1,), dtype="string", name="word"), keras.Input((1,), dtype="int64", name="year")
    rows = [
        layers.StringLookup(vocabulary=["the", "delight", "café"], num_oov_indices=2, output_mode="one_hot", name="known")(word),
        layers.IntegerLookup(vocabulary=[2, 5, 7], output_mode="multi_hot", name="years")(year),
        layers.Flatten(name="flat")(layers.Embedding(6, 3, name="buckets")(layers.Hashing(6, name="hashed")(word))),
    ]
    x = layers.Dense(6, activation="tanh", name="hidden")(layers.Concatenate(name="all")(rows))
    return keras.Model([word, year], layers.Dense(3, activation="softmax", name="head")(x))


def named(words=("dull", "fine", "über")):
    """The likeliest class of a text by its name."""
    inner = texts(mask=False)
    best = keras.ops.argmax(inner.output, axis=-1)
    return keras.Model(inner.input, layers.StringLookup(vocabulary=list(words), num_oov_indices=0, invert=True, name="name")(best))


def random_graph(seed):
    """Up to a dozen calls on maps of one or two inputs: merges, strides, pools, shared layers, nested models, norms."""
    random = python_random.Random(seed)
    count = iter(range(1000))
    name = lambda kind: f"{kind}_{next(count)}"
    size = random.randint(5, 9)
    inputs = [keras.Input((size, size, random.choice([2, 3, 4]))) for _ in range(random.choice([1, 1, 2]))]
    maps = list(inputs)
    reusable = []

    def conv(x, strides=None):
        kernel = random.choice([1, 1, 2, 3])
        padding = "same" if kernel > x.shape[1] or random.random() < 0.7 else "valid"
        settings = {
            "strides": strides or random.choice([1, 1, 1, 2]),
            "padding": padding,
            "use_bias": random.random() < 0.5,
        }
        kind = random.choice(["conv", "conv", "conv", "depthwise", "separable", "dilated", "groups"])
        if kind == "depthwise":
            return layers.DepthwiseConv2D(kernel, name=name(kind), depth_multiplier=random.choice([1, 2]), **settings)(x)
        if kind == "separable":
            return layers.SeparableConv2D(random.choice([3, 4]), kernel, name=name(kind), **settings)(x)
        if kind == "dilated" and x.shape[1] > 4:
            settings |= {"strides": 1, "dilation_rate": 2}
            return layers.Conv2D(3, 2, name=name(kind), **settings)(x)
        groups = 2 if kind == "groups" and x.shape[-1] % 2 == 0 else 1
        activation = random.choice([None, None, "tanh", "silu", "relu"])
        layer = layers.Conv2D(random.choice([2, 4, 6]), kernel, groups=groups, activation=activation, name=name("conv"), **settings)
        y = layer(x)
        if tuple(y.shape) == tuple(x.shape):
            reusable.append(layer)
        return y

    def norm(x):
        settings = {"scale": random.random() < 0.7, "center": random.random() < 0.7, "momentum": random.choice([0.5, 0.9, 0.99])}
        return layers.BatchNormalization(name=name("bn"), **settings)(x)

    def activation(x):
        kind = random.choice(["relu", "relu6", "leaky", "prelu", "sigmoid", "softplus", "elu", "hard_swish"])
        if kind == "relu6":
            return layers.ReLU(6.0, name=name(kind))(x)
        if kind == "leaky":
            return layers.LeakyReLU(0.2, name=name(kind))(x)
        if kind == "prelu":
            return layers.PReLU(shared_axes=[1, 2], name=name(kind))(x)
        return layers.Activation(kind, name=name("act"))(x)

    def merge(x):
        others = [y for y in maps if tuple(y.shape[1:3]) == tuple(x.shape[1:3])]
        y = random.choice(others)
        same = tuple(y.shape) == tuple(x.shape)
        kind = random.choice(["Add", "Subtract", "Multiply", "Average", "Maximum", "Minimum"]) if same else "Concatenate"
        if random.random() < 0.2:
            kind = "Concatenate"
        return getattr(layers, kind)(name=name(kind.lower()))([x, y])

    def pool(x):
        kind = random.choice([layers.MaxPooling2D, layers.AveragePooling2D])
        return kind(2, strides=random.choice([1, 2]), padding="same", name=name("pool"))(x)

    def inner(x):
        start = keras.Input(x.shape[1:])
        y = layers.Conv2D(x.shape[-1], 3, padding="same", use_bias=False, name="conv")(start)
        y = norm(y)
        if random.random() < 0.5:
            y = layers.Add(name="add")([start, layers.Activation("relu", name="act")(y)])
        model = keras.Model(start, y, name=name("inner"))
        y = model(x)
        return model(y) if random.random() < 0.3 else y

    def again(x):
        fitting = [layer for layer in reusable if layer.input.shape[-1] == x.shape[-1] and min(x.shape[1:3]) > 3] if reusable else []
        return random.choice(fitting)(x) if fitting else norm(x)

    def shapes(x):
        return random.choice(
            [
                lambda y: layers.ZeroPadding2D(((0, 1), (1, 0)), name=name("pad"))(y),
                lambda y: layers.UpSampling2D(2, name=name("up"))(y) if y.shape[1] < 6 else y,
                lambda y: layers.Cropping2D(((0, 1), (0, 1)), name=name("crop"))(y) if y.shape[1] > 4 else y,
                lambda y: layers.Conv2DTranspose(3, 3, strides=2, padding="same", name=name("wider"))(y) if y.shape[1] < 5 else y,
                lambda y: layers.LayerNormalization(name=name("ln"))(y),
            ]
        )(x)

    for _ in range(random.randint(4, 12)):
        x = maps[-1] if random.random() < 0.75 else random.choice(maps)
        step = random.choices([conv, norm, activation, merge, pool, inner, again, shapes], [5, 4, 3, 3, 1, 1, 1, 2])[0]
        maps.append(step(x))
    ends = [maps[-1]] + ([random.choice(maps)] if random.random() < 0.4 else [])
    if len(inputs) > 1:
        ends += inputs
    flat = [
        random.choice([layers.GlobalAveragePooling2D, layers.GlobalMaxPooling2D, layers.Flatten])(name=name("flat"))(x)
        for x in ends
    ]
    x = layers.Concatenate(name=name("join"))(flat) if len(flat) > 1 else flat[0]
    if random.random() < 0.5:
        x = layers.Dense(5, name=name("fc"), activation=random.choice([None, "tanh", "relu"]))(x)
        if random.random() < 0.5:
            x = norm(x)
    return keras.Model(inputs, layers.Dense(3, activation="softmax", name="head")(x))


networks = {
    build.__name__: build
    for build in (
        resnet50,
        mobilenet_v2,
        densenet121,
        vgg16,
        transfer,
        chain,
        residual,
        depthwise,
        two_sides,
        nested,
        shared,
        dense_prediction,
        sequence,
        attention,
        texts,
        counted,
        hashed_columns,
        named,
        random_graph,
    )
}
