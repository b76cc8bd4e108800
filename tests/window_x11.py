"""The window as a person uses it, on a display of its own: python3 window_x11.py --kvasir PROGRAM

Under Xvfb, with xdotool: type, send, branch, edit, switch models, stop, answer again, close while it writes and open again, be killed while it
writes and open again, switch devices, lose one. What it waits for are the window's title and the conversation's file; where a named item lies
is told by a script (`where NAME`) that plays the same in a copy of the user's folders. Where the Vulkan validation layer is installed it
watches, and must have nothing to say.

With --soak MINUTES it is used for that long instead (questions, other answers, panels, conversations, models), and its memory must not
grow. With --speed MODEL it is measured instead: tokens a second beside `kvasir generate`, in turns, and how soon Escape ends an answer.
"""

import argparse
import contextlib
import ctypes
import json
import os
import shutil
import signal
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

PATIENCE = 120  # seconds for any one thing; nothing here takes more than a few
WIDTH, HEIGHT = 1280, 800
VALIDATION = {"VK_INSTANCE_LAYERS": "VK_LAYER_KHRONOS_validation",
              "VK_LAYER_ENABLES": "VK_VALIDATION_FEATURE_ENABLE_SYNCHRONIZATION_VALIDATION_EXT"}
LAYER = Path("/usr/share/vulkan/explicit_layer.d/VkLayer_khronos_validation.json")


def wait_for(what, condition, every=0.02):
    """The condition's value, once it has one; looked for every so many seconds."""
    end = time.monotonic() + PATIENCE
    while time.monotonic() < end:
        value = condition()
        if value:
            return value
        time.sleep(every)
    raise AssertionError(f"{what}: not within {PATIENCE} s")


def rest(*processes):
    """Returns once these have slept for a while, all threads of them: what was sent has been drawn, for a window with nothing to do draws
    nothing."""

    def busy():
        found = []
        for process in processes:
            for thread in Path(f"/proc/{process}/task").iterdir():
                with contextlib.suppress(FileNotFoundError, ProcessLookupError):  # it has ended
                    state, *numbers = (thread / "stat").read_text().rsplit(")", 1)[1].split()
                    found.append((thread.name, state in "RD", numbers[10:12]))  # user and system time
        return found

    before, quiet = busy(), 0

    def slept():
        nonlocal before, quiet
        now = busy()
        quiet = quiet + 1 if now == before and not any(runs for _, runs, _ in now) else 0
        before = now
        return quiet >= 8

    wait_for("rest", slept)


class Display:
    """An X server without a screen, for as long as the block lasts."""

    def __enter__(self):
        read, write = os.pipe()
        self.server = subprocess.Popen(["Xvfb", "-displayfd", str(write), "-screen", "0", f"{WIDTH}x{HEIGHT}x24", "-nolisten", "tcp", "-noreset"],
                                       pass_fds=[write], stderr=subprocess.DEVNULL)
        os.close(write)
        with os.fdopen(read) as told:
            os.environ["DISPLAY"] = ":" + told.readline().strip()
        return self

    def __exit__(self, *_):
        self.server.terminate()
        self.server.wait()


def xdotool(*arguments):
    done = subprocess.run(["xdotool", *map(str, arguments)], capture_output=True, text=True)
    return done.stdout.strip()


class ClientMessage(ctypes.Structure):
    _fields_ = [("type", ctypes.c_int), ("serial", ctypes.c_ulong), ("send_event", ctypes.c_int), ("display", ctypes.c_void_p),
                ("window", ctypes.c_ulong), ("message_type", ctypes.c_ulong), ("format", ctypes.c_int), ("data", ctypes.c_long * 5),
                ("rest", ctypes.c_long * 24)]  # an XEvent is 24 longs; more does no harm


def ask_to_close(window):
    """What a window manager sends for a click on the title bar's cross; there is none here."""
    x = ctypes.CDLL("libX11.so.6")
    x.XOpenDisplay.restype = ctypes.c_void_p
    x.XInternAtom.restype = ctypes.c_ulong
    x.XInternAtom.argtypes = [ctypes.c_void_p, ctypes.c_char_p, ctypes.c_int]
    x.XSendEvent.argtypes = [ctypes.c_void_p, ctypes.c_ulong, ctypes.c_int, ctypes.c_long, ctypes.c_void_p]
    x.XCloseDisplay.argtypes = [ctypes.c_void_p]
    display = x.XOpenDisplay(None)
    event = ClientMessage(type=33, window=window, format=32, message_type=x.XInternAtom(display, b"WM_PROTOCOLS", 0))
    event.data[0] = x.XInternAtom(display, b"WM_DELETE_WINDOW", 0)
    x.XSendEvent(display, window, 0, 0, ctypes.byref(event))
    x.XCloseDisplay(display)


class User:
    """Somebody with folders of their own, and the window when it is open."""

    def __init__(self, program, folder, display, lose_device):
        self.program, self.folder, self.display, self.lose_device = program, folder, display, lose_device
        self.validation = VALIDATION if LAYER.exists() else {}
        self.process, self.said, self.lost = None, folder.with_name("said"), folder.with_name("lost")
        settings = folder / "config/kvasir/settings.json"
        settings.parent.mkdir(parents=True)
        # A long context, so that an answer that is to be stopped is still being written then.
        settings.write_text(json.dumps({"width": WIDTH, "height": HEIGHT, "n_ctx": 16384}))

    def environment(self, folder):
        return os.environ | {"XDG_DATA_HOME": str(folder / "data"), "XDG_CONFIG_HOME": str(folder / "config")}

    def open(self, model=None, title="Kvasir - "):
        with open(self.said, "ab") as said:
            more = {"LD_PRELOAD": self.lose_device, "KVASIR_LOSE_DEVICE": str(self.lost)} | self.validation
            self.process = subprocess.Popen([self.program, "window"] + ([model] if model else []), stdout=said,
                                            env=self.environment(self.folder) | more)
        self.window = int(wait_for("a window", lambda: xdotool("search", "--pid", self.process.pid, "--name", "Kvasir")).split()[0])
        xdotool("windowfocus", "--sync", self.window)
        self.ready(title)

    def title(self):
        assert self.process.poll() is None, f"the program ended with {self.process.returncode}"
        return xdotool("getwindowname", self.window)

    def ready(self, title):
        wait_for(title, lambda: self.title().startswith(title) and " - loading" not in self.title())

    def places(self, *script, of=None):
        """Where the script's `where` lines say that items are, with these folders (as they are now, or as `of` has them)."""
        with tempfile.TemporaryDirectory() as scratch:
            copy = Path(scratch) / "user"
            shutil.copytree(of or self.folder, copy)
            path = Path(scratch) / "script"
            path.write_text("\n".join(("wait loaded",) + script) + "\n")
            done = subprocess.run([self.program, "window", "--script", path, "--width", str(WIDTH), "--height", str(HEIGHT)],
                                  env=self.environment(copy), capture_output=True, text=True)
            assert done.returncode == 0, done.stderr
            return [tuple(map(int, line.rsplit(":", 1)[1].split())) for line in done.stdout.splitlines() if line.startswith("where ")]

    def rest(self):
        rest(self.process.pid, self.display.server.pid)

    def click(self, place):
        xdotool("mousemove", *place)
        xdotool("click", 1)
        self.rest()

    def type(self, text):
        xdotool("type", "--delay", 5, text)
        self.rest()

    def key(self, *chords):
        xdotool("key", *chords)
        self.rest()

    def messages(self):
        """What the conversations' files have: {(file, number): message with its tokens, its end}; parents by the same keys."""
        found = {}
        for file in sorted((self.folder / "data/kvasir/conversations").glob("*.jsonl")):
            for line in file.read_text().splitlines(keepends=True):
                if not line.endswith("\n"):
                    continue  # still being written
                one = json.loads(line)
                if "message" in one:
                    at, parent = (file.stem, one["message"]), one["parent"]
                    found[at] = one | {"at": at, "parent": None if parent is None else (file.stem, parent), "ids": [], "why": None}
                elif "token" in one:
                    found[file.stem, one["token"][0]]["ids"].append(one["token"][1])
                elif "end" in one:
                    found[file.stem, one["end"]].update(why=one["why"], speed=one.get("tokens_per_second"))
        return found

    def new_answer(self, act):
        """The answer that comes of act(), as soon as it has a token."""
        before = self.messages()
        act()

        def begun():
            return [m for at, m in self.messages().items() if at not in before and m["role"] == "assistant" and m["ids"]]

        return wait_for("an answer", begun)[0]

    def ask(self, text):
        self.type(text)
        return self.new_answer(lambda: xdotool("key", "Return"))

    def stop(self, answer):
        xdotool("key", "Escape")
        return wait_for("the end", lambda: self.messages()[answer["at"]]["why"])

    def ended(self, answer, why):
        found = wait_for("the answer's end", lambda: self.messages()[answer["at"]]["why"])
        assert found == why, f"it ended by {found}, not {why}"

    def close(self):
        ask_to_close(self.window)
        status = self.process.wait(PATIENCE)
        assert status == 0, f"closing ended with {status}"


def play(user):
    fresh = user.folder.with_name("fresh")
    shutil.copytree(user.folder, fresh)
    user.open("tutor", "Kvasir - Kvasir tutor")

    # A token's place in a copy where the same was asked: equal seeds give equal texts.
    thanks = user.ask("Thank you!")
    user.ended(thanks, "end")
    spoken = [user.program, "generate", "tutor", "--prompt", "Thank you!", "-n", "1", "--json"]
    n_prompt = len(json.loads(subprocess.check_output(spoken, stderr=subprocess.DEVNULL))["prompt_ids"])
    asked = ["click message", "type Thank you!", "key Enter", "wait tokens 1", "wait idle"]
    token, other = user.places(*asked, f"where token {n_prompt}", f"click token {n_prompt}", "where candidate 1", of=fresh)
    user.click(token)
    branch = user.new_answer(lambda: user.click(other))
    user.ended(branch, "end")
    assert branch["parent"] == thanks["parent"] and branch["ids"][0] != thanks["ids"][0], "a branch begins with another token"

    edit, done = user.places("where edit 0", "click edit 0", "where edit done")
    user.click(edit)
    user.key("ctrl+a")
    user.type("What is a token?")
    edited = user.new_answer(lambda: user.click(done))
    user.ended(edited, "end")
    question = user.messages()[edited["parent"]]
    assert question["text"] == "What is a token?" and question["parent"] is None, f"not a version of the first message: {question}"

    (built_in,) = user.places("key Ctrl+O", "where built-in shakespeare-alibi")
    user.key("ctrl+o")
    user.click(built_in)
    user.ready("Kvasir - Shakespeare, ALiBi")
    user.key("ctrl+l")
    assert user.stop(user.ask("To be")) == "stopped"
    user.new_answer(lambda: xdotool("key", "ctrl+r"))
    user.close()

    kept = user.messages()
    user.open(title="Kvasir - Shakespeare, ALiBi")
    assert user.messages() == kept, "opening changes nothing"
    after = user.ask("or not")
    assert user.messages()[after["parent"]]["parent"] == max(kept), "it goes on where it was left"
    user.process.send_signal(signal.SIGKILL)
    user.process.wait()

    seen = user.messages()
    user.open(title="Kvasir - Shakespeare, ALiBi")
    for at, message in seen.items():
        assert user.messages()[at]["ids"] == message["ids"], "what was written is there"
    assert not list((user.folder / "data").rglob("*.broken")), "nothing is damaged"

    devices = json.loads(subprocess.check_output([user.program, "devices", "--json"]))["devices"]
    others = [device["index"] for device in devices if device["usable"] and not device["chosen"]]
    if others:
        button, other = user.places("where device", "click device", f"where device {others[0]}")
        user.click(button)
        user.click(other)
        settings = user.folder / "config/kvasir/settings.json"
        wait_for("the other device", lambda: json.loads(settings.read_text()).get("device") == str(others[0]))
        user.ready("Kvasir - Shakespeare, ALiBi")
        user.key("ctrl+l")
        assert user.stop(user.ask("that is")) == "stopped"
    lost = user.ask("and there")
    user.lost.touch()  # see lose_device.cpp
    user.ended(lost, "error")
    user.key("ctrl+o")
    user.click(built_in)
    user.ready("Kvasir - Shakespeare, ALiBi")
    user.key("ctrl+l")
    user.ask("again")
    user.close()
    said = user.said.read_text()
    assert said == "", f"the validation layer says: {said[:2000]}"


def soak(user, minutes):
    """Use that goes on; memory (resident set) is looked at after each round, which begins and ends alike."""
    user.validation = {}  # the layer keeps books of its own
    user.open("tutor", "Kvasir - Kvasir tutor")
    user.ended(user.ask("What is attention?"), "end")
    names = ["tab kv", "tab positions", "tab device", "tab tokens"]
    tabs = user.places("click message", "type x", "key Enter", "wait tokens 1", "key Escape", "wait idle", *(f"where {name}" for name in names))
    models = {"Kvasir - Kvasir tutor": "tutor", "Kvasir - Shakespeare, RoPE": "shakespeare-rope"}
    built_in = dict(zip(models, user.places("key Ctrl+O", *(f"where built-in {name}" for name in models.values()))))
    sizes, end = [], time.monotonic() + 60 * minutes
    while time.monotonic() < end:
        for title, place in reversed(built_in.items()):
            user.key("ctrl+o")
            user.click(place)
            user.ready(title)
            user.key("ctrl+l")
            for question in ("What is the KV cache?", "And why?"):
                user.stop(user.ask(question))
                user.stop(user.new_answer(lambda: xdotool("key", "ctrl+r")))
            for tab in tabs:
                user.click(tab)
        user.key("ctrl+n")
        user.key("ctrl+l")
        status = Path(f"/proc/{user.process.pid}/status").read_text()
        sizes.append(int(status.split("VmRSS:")[1].split()[0]) // 1024)
        print(f"round {len(sizes)}: {sizes[-1]} MiB resident", flush=True)
    user.close()
    half = len(sizes) // 2
    early, late = max(sizes[:half]), statistics.median(sizes[half:])  # the allocator gives some back, now and then
    print(f"{len(sizes)} rounds in {minutes} minutes; MiB resident: {sizes[0]} at first, at most {early} in the first half, {late} later (median)")
    assert late <= 1.02 * early, "memory grows"


def speed(user, model, n=400, rounds=7):
    user.validation = {}
    user.open(model)
    user.stop(user.ask("Hello"))
    (grid,) = user.places("click message", "type x", "key Enter", "wait tokens 1", "key Escape", "wait idle", "where all heads")
    folder, prompt = user.folder / "data/kvasir/conversations", "Tell me a very long story about a king."

    def written():  # what the newest conversation's file has; cheap, because the model needs the processor
        return max(folder.glob("*.jsonl"), key=lambda file: file.stat().st_mtime_ns).read_bytes()

    def plain():
        told = subprocess.check_output([user.program, "generate", model, "--prompt", prompt, "-n", str(n), "--temperature", "0.8", "--context",
                                        "16384", "--json"], stderr=subprocess.DEVNULL)
        return json.loads(told)["tokens_per_second"]

    def windowed():
        user.key("ctrl+n")
        user.key("ctrl+l")
        answer = user.ask(prompt)
        while (now := written()).count(b'"token"') < n and b'"end"' not in now:
            user.title()  # the program runs
            time.sleep(0.25)
        begun = time.monotonic()
        xdotool("key", "Escape")
        wait_for("the end", lambda: b'"end"' in written()[-400:], 0.002)
        if b'"end"' not in now:
            delays.append(1000 * (time.monotonic() - begun))
        return user.messages()[answer["at"]]["speed"]

    alone, surveyed, watched, delays = [], [], [], []
    for _ in range(rounds):
        alone.append(plain())
        surveyed.append(windowed())
        user.click(grid)
        watched.append(windowed())
        user.click(grid)
    user.close()
    for name, speeds in (("one layer watched", watched), ("all heads surveyed", surveyed)):
        shares = [a / b for a, b in zip(speeds, alone)]
        print(f"window, {name}: {statistics.median(speeds):.1f} tokens/s, {statistics.median(shares):.3f} of generate's "
              f"({min(shares):.3f} to {max(shares):.3f}, {rounds} rounds)")
    print(f"generate: {statistics.median(alone):.1f} tokens/s")
    print(f"from the Escape key to the end on disk: median {statistics.median(delays):.0f} ms, longest {max(delays):.0f}")


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--kvasir", required=True)
    parser.add_argument("--lose-device", required=True, help="the library of lose_device.cpp")
    parser.add_argument("--soak", type=float, default=0, metavar="MINUTES")
    parser.add_argument("--speed", metavar="MODEL")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as scratch, Display() as display:
        user = User(options.kvasir, Path(scratch) / "user", display, options.lose_device)
        try:
            if options.speed:
                speed(user, options.speed)
            elif options.soak:
                soak(user, options.soak)
            else:
                play(user)
        finally:
            if user.process and user.process.poll() is None:
                user.process.kill()
    return 0


if __name__ == "__main__":
    sys.exit(main())
