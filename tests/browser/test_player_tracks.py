"""What a viewer chooses while a film plays: the sound, the subtitles, the rendition and the place.

The film has a tone of its own in each language, and a line of text each second, so that what is heard and read tells the
track and the time. A screenshot of each player is in target/test-output.
"""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from tests.browser.players import Playing, look, until
from tests.kit.film import tool

# As in test_players.py: in real time, and easily disturbed.
pytestmark = pytest.mark.proof

SECONDS = 28
# Two renditions, and still cheap to show four times at once.
SIZE, HEIGHTS = "800x450", (360, 450)
TONES = {"en": 330, "de": 880}
LANGUAGES = {"en": "eng", "de": "ger"}
# From when to when in its second a text is shown, and how late it may come and go: browsers look a few times a second.
SHOWN, LATE = (0.2, 0.8), 0.5

# Notes what is heard and what is read, with the film's time. An element that is muted gives no sound to listen to; the
# page's own end of the line is silent.
LISTEN = """
Object.assign(window.notes, { heard: [], read: [] });
video.muted = false;
const context = new AudioContext();
const analyser = new AnalyserNode(context, { fftSize: 8192, smoothingTimeConstant: 0 });
context.createMediaElementSource(video).connect(analyser);
const spectrum = new Float32Array(analyser.frequencyBinCount);
setInterval(() => {
  if (video.paused || video.seeking) return;
  analyser.getFloatFrequencyData(spectrum);
  const loudest = spectrum.indexOf(Math.max(...spectrum));
  if (spectrum[loudest] > -60) window.notes.heard.push([video.currentTime, loudest * context.sampleRate / analyser.fftSize]);
  const cues = [...video.textTracks].filter((track) => track.mode === "showing").flatMap((track) => [...track.activeCues ?? []]);
  window.notes.read.push([video.currentTime, cues.map((cue) => cue.text)]);
}, 50);
"""


@pytest.fixture(scope="module")
def film(tmp_path_factory) -> Path:
    """A picture, a tone for each language, and a text for each."""
    folder = tmp_path_factory.mktemp("tracks")
    command = [tool("ffmpeg"), "-v", "error", "-nostdin", "-f", "lavfi", "-i", f"testsrc2=size={SIZE}:rate=25:duration={SECONDS}"]
    named, maps = [], ["-map", "0"]
    for number, (language, hertz) in enumerate(TONES.items()):
        command += ["-f", "lavfi", "-i", f"sine=frequency={hertz}:sample_rate=48000:duration={SECONDS}"]
        subtitles = folder / f"{language}.srt"
        subtitles.write_text("".join(cue(second, language) for second in range(SECONDS)))
        command += ["-i", subtitles]
        maps += ["-map", str(1 + 2 * number), "-map", str(2 + 2 * number)]
        for kind in "as":
            named += [f"-metadata:s:{kind}:{number}", f"language={LANGUAGES[language]}"]
    codecs = ["-c:v", "libx264", "-preset", "ultrafast", "-pix_fmt", "yuv420p", "-g", "250", "-c:a", "aac", "-c:s", "srt"]
    path = folder / "tracks.mkv"
    subprocess.run([*command, *maps, *codecs, *named, path], check=True)
    return path


def text(second: int, language: str) -> str:
    return f"{language} {second}"


def cue(second: int, language: str) -> str:
    start, end = (f"00:00:{second:02},{int(part * 1000):03}" for part in SHOWN)
    return f"{second + 1}\n{start} --> {end}\n{text(second, language)}\n\n"


def everywhere(playing: list[Playing], script: str, argument=None) -> None:
    for player in playing:
        player.page.evaluate(script, argument)


def hears(language: str):
    """Whether what was heard last is that language's tone."""
    return lambda each: len(each["heard"]) > 2 and all(abs(hertz - TONES[language]) < 20 for _, hertz in each["heard"][-3:])


def reads(each: dict, language: str) -> bool:
    """Whether a text of that language stood there a moment ago: in a second there is a pause."""
    return any(shown.startswith(language) for _, texts in each["read"][-20:] for shown in texts)


def read_on_time(each: dict, language: str, since: int) -> set[int]:
    """The seconds from `since` on whose text was shown: none of another language, none twice, and none at a wrong time."""
    seconds = set()
    for time, texts in each["read"]:
        assert len(texts) <= 1 or time < since, (time, texts)
        for shown in texts:
            second = int(shown.split()[1])
            if second < since:
                continue
            assert shown == text(second, language)
            assert second + SHOWN[0] <= time < second + SHOWN[1] + LATE, (time, shown)
            assert second in seconds or time < second + SHOWN[0] + LATE, (time, shown)
            seconds.add(second)
    return seconds


def test_every_player_changes_sound_text_picture_and_place(players, as_creator, as_holder, film, policy):
    video = as_creator.upload(film, "Two languages", policy, content_type="video/x-matroska")["id"]
    as_creator.wait_for_stage(video, timeout=120)
    playing = players(as_holder.playback(video), before=LISTEN)
    until(playing, lambda each: each["time"] > 1, 30, "not every player began")
    until(playing, hears("en"), 5, "not every player sounds English at first")
    # Nobody asked for it, so there is none.
    for name, each in look(playing).items():
        assert not [texts for _, texts in each["read"] if texts], name
    everywhere(playing, "() => window.chooseText('de')")
    first = until(playing, lambda each: reads(each, "de"), 10, "not every player shows a text")

    everywhere(playing, "() => { window.notes.before = video.currentTime; window.chooseSound('de'); }")
    seen = until(playing, hears("de"), 10, "not every player sounds German")
    assert {player.name: player.page.evaluate("window.sound()") for player in playing} == dict.fromkeys(seen, "de")
    for player in playing:
        assert any(f"/{video}/audio-2/" in path and path.endswith(".m4s") for path in player.requested), player.name
        # It went on from where it was.
        assert seen[player.name]["time"] - seen[player.name]["before"] < 8
    enough = lambda each: each["time"] > first[each["name"]]["time"] + 6 and reads(each, "de")  # noqa: E731
    until(playing, enough, 20, "not every player went on and shows a text")
    for player in playing:
        player.page.wait_for_function("() => window.notes.read.at(-1)[1].length > 0")
        player.picture("tracks")
    for name, each in look(playing).items():
        since = int(first[name]["time"]) + 1
        assert read_on_time(each, "de", since) >= set(range(since, since + 4)), (name, each["read"])

    # Another text, and then back across joins. Not in one moment: a seek takes a text that is still asked for from dash.js.
    everywhere(playing, "() => window.chooseText('en')")
    until(playing, lambda each: reads(each, "en"), 10, "not every player shows the other text")
    everywhere(playing, "() => { video.currentTime = 3.2; window.notes.read = []; window.notes.waits = []; }")
    until(playing, lambda each: 9 < each["time"] < 25, 30, "not every player went on after seeking back")
    for name, each in look(playing).items():
        # On both sides of the join at 4 s and of the one at 8 s; the first may still be on its way.
        assert read_on_time(each, "en", since=5) >= {5, 6, 7, 8}, (name, each["read"])
        # Where it went on from it may have to load first; at the joins nothing is left to wait for.
        assert not [at for at in each["waits"] if at > 3.9], (name, each["waits"])
    everywhere(playing, "() => { video.currentTime = 2.5; }")
    for height in HEIGHTS:
        everywhere(playing, "height => window.choose(height)", height)
        until(playing, lambda each, height=height: each["height"] == height, 25, f"not every player changed to {height}p")
    everywhere(playing, "() => { video.currentTime = 7.3; }")
    until(playing, lambda each: each["time"] > 12.5, 20, "not every player passed two joins")
    everywhere(playing, "() => { video.currentTime = 15.5; }")
    seen = until(playing, lambda each: each["ended"], 30, "not every player came to the end")
    assert all(hears("de")(each) for each in seen.values()), "the sound that was chosen did not stay"
    as_creator.delete(video)
