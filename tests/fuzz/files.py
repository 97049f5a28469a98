"""Mutations of bytes, of text, and of the files of a folder or zip file."""

from __future__ import annotations

import json
import shutil
import tempfile
import zipfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from random import Random
from typing import Any

from tests.fuzz.strange import NUMBERS, SECRET, in_words, text
from tests.fuzz.trees import HUGE, Unchanged, write_secret, zeros_packed

Mutation = Callable[[Path, Random], str]
"""Changes a file or folder and says how."""

BOMB = 2**31 + 2**20  # bytes


def flip(path: Path, rng: Random) -> str:
    """Some bytes become others; more often near the beginning, where most formats keep what they are."""
    content = bytearray(path.read_bytes())
    if not content:
        raise Unchanged
    n = rng.choice([1, 1, 3, 20])
    for _ in range(n):
        place = rng.randrange(min(len(content), rng.choice([200, 3000, len(content)])))
        content[place] = rng.choice([0, 255, content[place] ^ (1 << rng.randrange(8)), rng.randrange(256)])
    path.write_bytes(content)
    return f"{n} bytes of {path.name} flipped"


def cut(path: Path, rng: Random) -> str:
    content = path.read_bytes()
    kept = rng.choice([0, 1, 8, len(content) // 2, max(0, len(content) - 1), rng.randrange(len(content) + 1)])
    path.write_bytes(content[:kept])
    return f"{path.name} ends after {kept} of {len(content)} bytes"


def splice(path: Path, rng: Random) -> str:
    """A part is missing, comes twice, or is zero."""
    content = path.read_bytes()
    start = rng.randrange(len(content) + 1)
    end = min(len(content), start + rng.choice([1, 8, 100, 4096]))
    kind = rng.choice(["missing", "twice", "zero"])
    middle = {"missing": b"", "twice": content[start:end] * 2, "zero": bytes(end - start)}[kind]
    path.write_bytes(content[:start] + middle + content[end:])
    return f"bytes {start} to {end} of {path.name} are {kind}"


BYTES: dict[str, Mutation] = {function.__name__: function for function in (flip, cut, splice)}


# --- JSON, as metadata of Zarr and info.json are


def change_json(document: Any, rng: Random) -> tuple[Any, str]:
    """One value somewhere in a document becomes another."""
    places = list(_places(document, ()))
    place = rng.choice(places)
    if not place:
        new = rng.choice([None, [], {}, "text", 1, [document]])
        return new, f"all is {in_words(new)}"
    owner = document
    for step in place[:-1]:
        owner = owner[step]
    key, shown = place[-1], ".".join(map(str, place))
    old = owner[key]
    match rng.randrange(8):
        case 0:
            del owner[key]
            return document, f"no {shown}"
        case 1:
            new = text(rng)
        case 2:
            new = rng.choice([*NUMBERS, *HUGE])
        case 3:
            new = rng.choice([None, True, [], {}, [[]], {"a": {}}])
        case 4 if isinstance(old, list) and old:
            new = old + old if rng.random() < 0.5 else old[:-1]
        case 5:
            new = old
            for _ in range(rng.choice([5, 50, 400])):
                new = [new] if rng.random() < 0.5 else {"x": new}
        case 6 if isinstance(old, str):
            new = rng.choice([old.upper(), old * 2, old[:-1], f"{old}\0", "int8", "|O", "<U9999999", "<f4", "gzip", "zlib", "pickle", "blosc", "zstd",
                              "vlen-utf8", "bytes", "transpose", "sharding_indexed", "crc32c", "vlen-array", "json2", "lzma", "delta"])  # fmt: skip
        case _:
            new = [rng.choice([*HUGE, -1, 0]) for _ in range(rng.choice([1, 2, 3]))]
    owner[key] = new
    return document, f"{shown} is {in_words(new)}"


def _places(value: Any, above: tuple[Any, ...]) -> Iterator[tuple[Any, ...]]:
    yield above
    if isinstance(value, dict | list):
        for key, inner in value.items() if isinstance(value, dict) else enumerate(value):
            yield from _places(inner, (*above, key))


def json_value(path: Path, rng: Random) -> str:
    try:
        document, how = change_json(json.loads(path.read_text(encoding="utf-8")), rng)
    except (ValueError, RecursionError):  # by an earlier mutation
        raise Unchanged from None
    path.write_text(json.dumps(document), encoding="utf-8", errors="surrogatepass")
    return f"{path.name}: {how}"


def json_text(path: Path, rng: Random) -> str:
    """What no JSON writer would write."""
    content = path.read_text(encoding="utf-8", errors="replace")
    new = rng.choice([
        "[" * 100_000, '{"a":' * 100_000, "", "\ufeff" + content, content + content, content.replace('"', "'"), content.replace(":", ": 1" + "0" * 6_000 + ","),
        content.replace(",", ",,", 1), "NaN", "null", '"\\ud800"', content.replace("0", "9" * 5_000), f'{{"name": {content}}}',
    ])  # fmt: skip
    path.write_text(new, encoding="utf-8")
    return f"{path.name} is {in_words(new)}"


# --- files of a folder


def metadata(folder: Path, rng: Random) -> str:
    """One value in one of the JSON files of a Zarr folder."""
    found = [
        path
        for path in _files(folder)
        if path.name in ("zarr.json", ".zarray", ".zattrs", ".zgroup", ".zmetadata")
    ]
    if not found:
        raise Unchanged
    path = rng.choice(found)
    change = json_value if rng.random() < 0.85 else json_text
    return f"{path.parent.relative_to(folder)}/{change(path, rng)}"


def chunk(folder: Path, rng: Random) -> str:
    """A chunk is damaged, gone, or unpacks to far more than it should."""
    found = [path for path in _files(folder) if path.name[0] != "." and path.suffix != ".json"]
    if not found:
        raise Unchanged
    path, kind = rng.choice(found), rng.choice(["bytes", "gone", "bomb", "another"])
    shown = path.relative_to(folder)
    if kind == "bytes":
        return f"{shown}: {rng.choice(list(BYTES.values()))(path, rng)}"
    if kind == "bomb":
        return _bomb(path, shown, rng)
    if kind == "another":
        shutil.copyfile(rng.choice(found), spare := folder / "spare")
        spare.replace(path)
    else:
        path.unlink()
    return f"{shown} is {kind}"


def _bomb(path: Path, shown: Path, rng: Random) -> str:
    """The array's codec becomes zlib, and its chunk some kilobytes that are gigabytes."""
    array = next((above for above in path.parents if (above / ".zarray").is_file()), None)
    if array is None:
        path.write_bytes(zeros_packed(2**26))
        return f"{shown} is zeros, packed"
    about = json.loads((array / ".zarray").read_text(encoding="utf-8"))
    about["compressor"] = {"id": "zlib", "level": 1}
    (array / ".zarray").write_text(json.dumps(about), encoding="utf-8")
    (array.parent / ".zmetadata").unlink(missing_ok=True)
    n_bytes = rng.choice([2**28, BOMB])
    path.write_bytes(zeros_packed(n_bytes))
    return f"{shown} unpacks to {n_bytes} bytes"


def file_link(folder: Path, rng: Random) -> str:
    """A symbolic link, for a file or a folder: out of the data, in a circle, or to nothing."""
    found = [path for path in folder.rglob("*") if path.is_file() or path.is_dir()]
    if not found:
        raise Unchanged
    path = rng.choice(found)
    plain, _ = write_secret(folder.parent, SECRET)
    target = rng.choice(
        [
            plain,
            Path("/"),
            Path("/dev/zero"),
            Path("/dev/null"),
            folder,
            path,
            Path("/not/there"),
            rng.choice(found),
        ]
    )
    if path.is_dir():
        shutil.rmtree(path)
    else:
        path.unlink()
    path.symlink_to(target)
    return f"{path.relative_to(folder)} is a link to {target.name or target}"


def file_gone(folder: Path, rng: Random) -> str:
    found = list(folder.rglob("*"))
    if not found:
        raise Unchanged
    path = rng.choice(found)
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path)
    else:
        path.unlink()
    return f"no {path.relative_to(folder)}"


def file_moved(folder: Path, rng: Random) -> str:
    """A file or folder in the place of another, or under a strange name."""
    found = sorted(path for path in folder.rglob("*") if not path.is_symlink())
    if not found:
        raise Unchanged
    path = rng.choice(found)
    strange = text(rng).replace("\0", "").replace("/", "")[:60].strip(".") or "x"
    target = rng.choice([path.with_name(strange), rng.choice(found)])
    if target == path or path in target.parents or target in path.parents:
        raise Unchanged
    if target.is_dir():
        shutil.rmtree(target)
    path.replace(target) if path.is_dir() == target.is_dir() or not target.exists() else shutil.move(
        path, target
    )
    return f"{path.relative_to(folder)} moved to {in_words(str(target.relative_to(folder)))}"


FOLDER: dict[str, Mutation] = {
    function.__name__: function for function in (metadata, chunk, file_link, file_gone, file_moved)
}


def _files(folder: Path) -> list[Path]:
    return sorted(path for path in folder.rglob("*") if path.is_file() and not path.is_symlink())


# --- zip files


@contextmanager
def unzipped(file: Path) -> Iterator[Path]:
    """What is in a zip file, as a folder, and packed again afterwards."""
    with tempfile.TemporaryDirectory(dir=file.parent) as temporary:
        folder = Path(temporary) / "content"
        with zipfile.ZipFile(file) as archive:
            archive.extractall(folder)
        yield next(iter(sorted(path for path in folder.iterdir() if path.is_dir())), folder)
        with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as archive:
            for path in sorted(folder.rglob("*")):
                if path.is_symlink():  # as a zip program stores a link
                    member = zipfile.ZipInfo(str(path.relative_to(folder)))
                    member.external_attr = 0o120777 << 16
                    archive.writestr(member, str(path.readlink()))
                elif path.is_file():
                    archive.write(path, str(path.relative_to(folder)))


def member(file: Path, rng: Random) -> str:
    """One more member that no zip program would write, or false words about one that is there."""
    kind = rng.choice(["up", "absolute", "twice", "bomb", "size", "many", "nested", "encrypted", "strange"])
    with zipfile.ZipFile(file) as archive:
        names = archive.namelist()
    with zipfile.ZipFile(file, "a", zipfile.ZIP_DEFLATED, compresslevel=1) as archive:
        name = rng.choice(names)
        match kind:
            case "up":
                archive.writestr("../../" + name, "out")
            case "absolute":
                archive.writestr("/elsewhere/" + name, "out")
            case "twice":
                archive.writestr(name, "again")
            case "bomb":
                with archive.open(f"{name}-large", "w", force_zip64=True) as out:
                    for _ in range(300):
                        out.write(bytes(2**20))
            case "many":
                for i in range(2000):
                    archive.writestr(f"{name}-{i}", "")
            case "nested":
                archive.write(file, "inner.zip")
            case "strange":
                archive.writestr(text(rng).replace("\0", "")[:1000] or "x", "strange")
    if kind in ("size", "encrypted"):
        content = bytearray(file.read_bytes())
        places = [i for i in range(len(content) - 46) if content[i : i + 4] == b"PK\x01\x02"]
        place = rng.choice(places)
        if kind == "size":
            content[place + 24 : place + 28] = rng.choice([b"\xff\xff\xff\x7f", b"\0\0\0\0", b"\1\0\0\0"])
        else:
            content[place + 8] |= 1
        file.write_bytes(content)
    return f"zip member: {kind}"


# --- lines of text


def lines(path: Path, rng: Random) -> str:
    """One cell or line of a table, GMT or TOML file becomes another."""
    content = path.read_text(encoding="utf-8", errors="replace")
    rows = content.split("\n")
    place = rng.randrange(len(rows))
    strange = text(rng)
    match rng.randrange(7):
        case 0:
            rows[place] = strange
            how = f"line {place} is {in_words(strange)}"
        case 1:
            sign = "\t" if "\t" in rows[place] else "="
            cells = rows[place].split(sign)
            cells[rng.randrange(len(cells))] = strange
            rows[place] = sign.join(cells)
            how = f"a cell of line {place} is {in_words(strange)}"
        case 2:
            rows.insert(place, rows[place])
            how = f"line {place} twice"
        case 3:
            rows[place] = rows[place].replace("\t", " ").replace("=", " ")
            how = f"line {place} without separators"
        case 4:
            rows[place] += "\t" * 5_000 if "\t" in content else "," * 5_000
            how = f"line {place} with 5000 empty cells"
        case 5:
            rows = [*rows[:place], rows[place] * 2_000, *rows[place + 1 :]]
            how = f"line {place} 2000 times in one"
        case _:
            rows[place] = rows[place] + strange
            how = f"line {place} ends with {in_words(strange)}"
    path.write_text("\n".join(rows), encoding="utf-8", errors="surrogatepass")
    return how


def toml_value(path: Path, rng: Random) -> str:
    """A value that TOML allows and no setting has, or far too deep or long a one."""
    content = path.read_text(encoding="utf-8", errors="replace")
    rows = content.split("\n")
    places = [i for i, row in enumerate(rows) if " = " in row]
    if not places:
        raise Unchanged
    place = rng.choice(places)
    name = rows[place].partition(" = ")[0]
    new = rng.choice([
        "9" * 5_000, "-1", "0", "1e400", "inf", "-inf", "nan", "[" * 20_000, "[" * 20_000 + "]" * 20_000, "{a=" * 3_000 + "1" + "}" * 3_000, '""', '"x"',
        "true", "1979-05-27T07:32:00Z", "[1, 2]", "{}", "0x" + "f" * 3_000, "1e30", "1e-320", "9223372036854775808", '"' + "a" * 50_000 + '"',
        "'''" + "\n" * 20_000 + "'''", '"\\ud800"', '"\\U0001F600"', "0.1" + "0" * 20_000 + "1", "1" + "_0" * 5_000, "[[[[[[[[]]]]]]]]", "1.5",
    ])  # fmt: skip
    kind = rng.random()
    if kind < 0.8:
        rows[place] = f"{name} = {new}"
    elif kind < 0.9:
        rows[place] = f"{'.'.join(['a'] * rng.choice([3, 300, 5000]))} = {new}"
    else:
        rows.insert(place, "[" + ".".join(["b"] * rng.choice([3, 300, 5000])) + "]")
    path.write_text("\n".join(rows), encoding="utf-8")
    return f"{name.strip()} = {in_words(new)} ({kind:.1f})"
