"""What a run was made on."""

import os


def device_name() -> str:
    """What the backend computes on."""
    import keras

    if keras.backend.backend() == "jax":
        import jax

        device = jax.devices()[0]
        if device.platform != "cpu":
            return device.device_kind
    with open("/proc/cpuinfo", encoding="utf-8") as file:
        for line in file:
            if line.startswith("model name"):
                return f"{os.cpu_count()} cores {line.partition(':')[2].strip()}"
    return f"{os.cpu_count()} cores"
