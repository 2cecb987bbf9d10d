"""Films made on the spot, so that no test needs a download.

    python -m tests.kit.film film.mp4 --seconds 30 --size 1280x720 --rate 25
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
from pathlib import Path


def tool(name: str) -> str:
    """The path of ffmpeg or ffprobe: those of FFMPEG_DIRECTORY, else the ones that tools.sh linked to."""
    cache = Path(os.environ.get("STREAMGATE_CACHE", Path(__file__).resolve().parents[2] / ".cache"))
    path = Path(os.environ.get("FFMPEG_DIRECTORY", cache / "bin")).resolve() / name
    if not path.exists():
        raise FileNotFoundError(f"{path} is missing: run `make tools`")
    return str(path)


def make_film(
    path: Path | str,
    seconds: float = 30,
    size: str = "1280x720",
    rate: int = 25,
    audio: bool = True,
    keyframe_seconds: float = 10,
    tone: int = 330,
) -> Path:
    """A moving test picture with a running time in it and, if wanted, a tone with a beep each second."""
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    command = [tool("ffmpeg"), "-hide_banner", "-loglevel", "error", "-nostdin", "-y"]
    command += ["-f", "lavfi", "-i", f"testsrc2=size={size}:rate={rate}:duration={seconds}"]
    if audio:
        # Bit-exact sources and a fixed tone: the same arguments make the same film.
        command += ["-f", "lavfi", "-i", f"sine=frequency={tone}:beep_factor=4:sample_rate=48000:duration={seconds}"]
        command += ["-c:a", "aac", "-b:a", "96k", "-ac", "2"]
    # Ultrafast, because the transcode re-encodes it anyway. Sparse keyframes, because real films have them: a
    # transcoder that relies on dense ones must not pass.
    command += ["-c:v", "libx264", "-preset", "ultrafast", "-crf", "28", "-pix_fmt", "yuv420p"]
    command += ["-g", str(max(1, int(rate * keyframe_seconds))), "-movflags", "+faststart", str(path)]
    # Written beside and renamed: a half-made film is never mistaken for a film.
    partial = path.with_name(f".{path.stem}.{os.getpid()}{path.suffix}")
    command[-1] = str(partial)
    try:
        subprocess.run(command, check=True)
        partial.replace(path)
    finally:
        partial.unlink(missing_ok=True)
    return path


def main() -> int:
    parser = argparse.ArgumentParser(description="Makes a test film.")
    parser.add_argument("path", type=Path)
    parser.add_argument("--seconds", type=float, default=30)
    parser.add_argument("--size", default="1280x720", help="WIDTHxHEIGHT")
    parser.add_argument("--rate", type=int, default=25, help="frames per second")
    parser.add_argument("--no-audio", action="store_true")
    arguments = parser.parse_args()
    film = make_film(
        arguments.path, arguments.seconds, arguments.size, arguments.rate, audio=not arguments.no_audio
    )
    print(f"{film}: {film.stat().st_size} bytes")
    return 0


if __name__ == "__main__":
    sys.exit(main())
