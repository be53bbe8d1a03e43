"""What TensorBoard reads from a folder of event files."""

import os


def tensorboard_events(folder):
    """Each writer's scalars, histograms and images as TensorBoard's own reader gives them, and the hyperparameters."""
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator
    from tensorboard.plugins.hparams import metadata

    writers = {}
    for path, _, names in os.walk(folder):
        if not any("tfevents" in name for name in names):
            continue
        events = EventAccumulator(path, size_guidance={"images": 0, "histograms": 0, "scalars": 0}).Reload()
        tags = events.Tags()
        hparams = {}
        for tag, content in hparams_of(events):
            if tag == metadata.EXPERIMENT_TAG:
                experiment = metadata.parse_experiment_plugin_data(content)
                hparams["metrics"] = [f"{info.name.group}/{info.name.tag}" for info in experiment.metric_infos]
            if tag == metadata.SESSION_START_INFO_TAG:
                values = metadata.parse_session_start_info_plugin_data(content).hparams
                hparams["values"] = {name: getattr(value, value.WhichOneof("kind")) for name, value in values.items()}
            if tag == metadata.SESSION_END_INFO_TAG:
                hparams["status"] = metadata.parse_session_end_info_plugin_data(content).status
        writers[os.path.relpath(path, folder)] = {
            "scalars": {tag: [[event.step, event.value] for event in events.Scalars(tag)] for tag in tags["scalars"]},
            "histograms": {
                tag: [[event.step, event.histogram_value.num, event.histogram_value.min, event.histogram_value.max, sum(event.histogram_value.bucket)] for event in events.Histograms(tag)]
                for tag in tags["histograms"]
            },
            "images": {tag: [[event.step, *size_of(event.encoded_image_string)] for event in events.Images(tag)] for tag in tags["images"]},
            "hparams": hparams,
        }
    return writers


def hparams_of(events):
    try:
        return events.PluginTagToContent("hparams").items()
    except KeyError:
        return []


def size_of(png):
    import tensorflow as tf

    image = tf.io.decode_png(png)
    return [int(size) for size in image.shape]
