"""Alerts sent as runs send them: by Apprise's own clients and ours, to servers that answer as the services do."""

from __future__ import annotations

import email
import email.policy
import json
import re
from datetime import UTC, datetime, timedelta
from socket import create_server
from typing import TYPE_CHECKING, Any

import pytest

from lab.certificates import issue, make_authority
from proofs.observe.alert_services import OPSGENIE, OPSGENIE_KEY, PAGERDUTY, PAGERDUTY_KEY, in_its_own_network
from proofs.report.alert_doors import DISCORD, NAMES, SLACK, TELEGRAM
from proofs.report.receivers import Receiver, mailbox, receiver
from proofs.report.samples import HOSTILE, blind, result
from report import telling
from report.run import Run
from target.load import load

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from report.lines import Result

KEY = "kEy7-that-nobody-must-see"


# Whole runs' ends: their history is a file, what they tell is sent.


@pytest.fixture
def door() -> Iterator[Receiver]:
    with receiver() as one:
        yield one


class Nights:
    """Runs of a target, of which nothing is made up but the results."""

    def __init__(self, directory: Path, alerts_section: str) -> None:
        self.file = directory / "target.toml"
        text = f'name = "synk"\n[project]\nname = "synk"\ndirectory = "."\n[report]\nhistory = "{directory}/h.sqlite"\n'
        self.file.write_text(text + "[timeouts]\nalerts = '4 s'\n" + alerts_section)
        self.loaded = load(self.file)

    def run(self, *results: Result) -> tuple[telling.Told, Run]:
        from observe.clock import Clock

        made = Run(self.loaded, Clock(UTC), "0123456789abcdef" * 2, self.file.parent, "daily")
        made.results += [dict(one) for one in results]
        return telling.tell(made, ()), made


def broken(slug: str = "backup-fresh", **changes: object) -> Result:
    return result(slug, outcome="broken", **changes)


def test_what_changes_is_told_and_only_that(tmp_path: Path, door: Receiver) -> None:
    nights = Nights(tmp_path, f'[alerts]\nurl = "json://127.0.0.1:{door.port}/{KEY}"\n')
    told, _ = nights.run(broken())
    assert told.reached
    assert told.notes == ("JSON has taken 1 message",)
    assert (door.posted[0]["type"], door.posted[0]["path"]) == ("failure", f"/{KEY}")
    assert "Do: Run `/srv/synk/backup.sh` by hand" in door.posted[0]["message"]
    assert door.titles == ["synk: BROKEN backup-fresh (major)"]
    told, _ = nights.run(broken())
    assert told == telling.Told(reached=True, mend=told.mend, looked_at="0 messages for 1 address")
    nights.run(result())
    assert door.posted[0]["type"] == "success"
    assert door.titles == ["synk: MENDED backup-fresh (major)"]
    nights.run(result())
    nights.run(*(blind(f"of-the-database-{number}", "database") for number in range(20)))
    assert door.titles == ["synk: CAN'T TELL of-the-database-0 and 19 more (major)"]


def test_a_route_that_was_down_is_told_later_and_the_run_says_so(tmp_path: Path, door: Receiver) -> None:
    nights = Nights(tmp_path, f'[alerts]\nurl = "json://127.0.0.1:{door.port}/{KEY}"\n')
    door.status = 503
    told, made = nights.run(broken())
    assert not told.reached
    trouble = telling.alert_trouble(made, told)
    assert trouble is not None
    assert (trouble["slug"], trouble["outcome"]) == ("alert-route", "cannot tell")
    assert trouble["message"] == (
        "JSON takes nothing: it answers 503 Service Unavailable; 1 message is kept for the next run with --alert"
    )
    assert door.titles == ["synk: BROKEN backup-fresh (major)"]
    door.status = 200
    nights.run(broken())
    assert door.titles == ["synk: BROKEN backup-fresh (major)"]
    nights.run(broken())
    assert door.titles == []


def test_half_a_route(tmp_path: Path, door: Receiver) -> None:
    file = tmp_path / "alert.urls"
    good = f"json://127.0.0.1:{door.port}/{KEY}"
    file.write_text(f"json://127.0.0.1:1/{KEY}\n{good}\nnothing://{KEY}\n{good}\n")
    file.chmod(0o644)
    nights = Nights(tmp_path, '[alerts]\nurl_file = "alert.urls"\n')
    told, made = nights.run(broken(), broken("other"))
    assert told.reached
    assert told.notes == ("JSON (line 4) has taken 2 messages",)
    kept = "2 messages are kept for the next run with --alert"
    assert told.troubles == (
        f"JSON (line 1) can't be reached over the network: the connection is refused; {kept}",
        f"the address of alert.urls (line 3) is no address that Apprise understands; {kept}",
    )
    assert "open to everybody (mode 644)" in made.warnings[0]
    assert KEY not in str(told) + str(made.warnings) + str(telling.alert_trouble(made, told))
    assert len(door.titles) == 2
    # The same addresses on other lines are the same; the one that was down is up, and told what it has missed.
    file.write_text(f"# ours\n{good}\n")
    assert nights.run(broken(), broken("other"))[0].troubles == ()
    assert door.titles == []


def test_where_nobody_can_be_told(tmp_path: Path, door: Receiver) -> None:
    told, made = Nights(tmp_path, "").run(result())
    assert not told.reached
    assert told.troubles == ("--alert was given, and no alert route is configured",)
    trouble = telling.alert_trouble(made, told)
    assert trouble is not None
    assert trouble["remedy"].startswith("Set alerts.url_file")
    nights = Nights(tmp_path, '[alerts]\nurl_file = "away.urls"\n')
    told, _ = nights.run(broken())
    assert "there is no " in told.troubles[0]
    # What nobody could be told isn't lost, though it is over.
    (tmp_path / "away.urls").write_text(f"json://127.0.0.1:{door.port}/\n")
    nights.run(result())
    assert door.titles == ["synk: WAS BROKEN backup-fresh (major)"]


def test_the_route_of_whoever_is_on_call_is_taken_where_there_is_no_other(tmp_path: Path, door: Receiver) -> None:
    Nights(tmp_path, f'[on_call]\nurl = "json://127.0.0.1:{door.port}/"\n').run(broken())
    assert door.titles == ["synk: BROKEN backup-fresh (major)"]


def test_one_that_never_answers_holds_nobody_else_up(tmp_path: Path, door: Receiver) -> None:
    with create_server(("127.0.0.1", 0)) as hole:
        file = tmp_path / "alert.urls"
        file.write_text(f"json://127.0.0.1:{hole.getsockname()[1]}/{KEY}\njson://127.0.0.1:{door.port}/\n")
        file.chmod(0o600)
        nights = Nights(tmp_path, '[alerts]\nurl_file = "alert.urls"\n')
        nights.file.write_text(nights.file.read_text().replace("4 s", "1 s"))
        nights.loaded = load(nights.file)
        told, _ = nights.run(broken(), broken("other"))
    assert len(door.titles) == 2
    assert told.troubles[0].startswith("JSON (line 1) can't be reached over the network")
    assert "2 messages are kept" in told.troubles[0]


def test_an_address_that_refuses_is_not_asked_for_ever(tmp_path: Path, door: Receiver) -> None:
    door.status = 400
    nights = Nights(tmp_path, f'[alerts]\nurl = "json://127.0.0.1:{door.port}/"\n')
    told, _ = nights.run(*(broken(f"slug-{number}") for number in range(12)))
    assert len(door.titles) == 3
    assert "12 messages are kept" in told.troubles[0]
    door.status = 200
    nights.run(result("other"))
    assert len(door.titles) == 12


def test_a_letter_has_no_markup(tmp_path: Path) -> None:
    with mailbox() as (port, letters):
        url = f"mailto://127.0.0.1:{port}?from=ops@example.org&to=on-call@example.org&mode=insecure"
        for markup, hostile in zip(("html", "text", "markdown"), [*_hostile(), *_hostile()], strict=False):
            directory = tmp_path / markup
            directory.mkdir()
            nights = Nights(directory, f'[alerts]\nurl = "{url}&format={markup}"\n')
            told, _ = nights.run(hostile)
            assert told.troubles == ()
    assert letters
    for letter in letters:
        message = email.message_from_bytes(letter, policy=email.policy.default)
        for part in message.walk():
            if part.get_content_maintype() == "text":
                text = str(part.get_content())
                assert not re.search(r"<(script|img|h1|a |style)|://|@here|javascript:[^a]", text), text


# Services that keep alerts, and chats: their own doors, in a network of their own.


@pytest.fixture(scope="module")
def doors(tmp_path_factory: pytest.TempPathFactory) -> Path:
    directory = tmp_path_factory.mktemp("doors")
    authority = make_authority("alerts", datetime.now(UTC))
    leaf = issue(authority, list(NAMES), datetime.now(UTC) - timedelta(hours=1))
    (directory / "ca.pem").write_bytes(authority.root.pem)
    (directory / "fullchain.pem").write_bytes(leaf.pem + authority.intermediate.pem)
    (directory / "privkey.pem").write_bytes(leaf.key_pem)
    (directory / "hosts").write_text(f"127.0.0.1 localhost {' '.join(NAMES)}\n")
    return directory


def tell_inside(doors: Path, urls: list[str], nights: list[list[Result]]) -> list[dict[str, Any]]:
    given = {"urls": urls, "nights": nights}
    found: list[dict[str, Any]] = in_its_own_network("proofs.report.alert_doors", doors, given)
    return found


def _by(found: list[dict[str, Any]], host: str) -> list[list[dict[str, Any]]]:
    return [[one for one in night["received"] if one["host"] == host] for night in found]


def test_pagerduty_and_opsgenie_close_what_has_mended(doors: Path) -> None:
    waiting = [blind(f"of-the-database-{number}", "database", severity="critical") for number in range(20)]
    over = [result(str(one["slug"])) for one in waiting]
    found = tell_inside(
        doors,
        # What an address has for an action, or for the name of all its events, is for others' events.
        [
            f"pagerduty://{PAGERDUTY_KEY}@Kp9xAPIkey?action=resolve&dedup=always-the-same",
            f"opsgenie://{OPSGENIE_KEY}/?action=close&alias=always-the-same",
        ],
        [waiting, [*reversed(waiting)], [broken(), *over], [result()]],
    )
    assert [len(night["said"]) for night in found] == [2, 0, 4, 2]
    assert all("answered 202 Accepted" in said for night in found for said in night["said"])

    first, none, both, last = ([one["json"] for one in night] for night in _by(found, PAGERDUTY))
    assert none == []
    assert first[0]["event_action"] == "trigger"
    assert first[0]["payload"]["severity"] == "critical"
    assert first[0]["payload"]["source"] == "synk"
    assert first[0]["payload"]["summary"].startswith("synk: CAN'T TELL of-the-database-0 and 19 more (critical)")
    assert "19 more wait for the same" in first[0]["payload"]["custom_details"]["details"]
    assert [(one["event_action"], one.get("payload", {}).get("severity")) for one in both] == [
        ("trigger", "error"),
        ("resolve", None),
    ]
    assert both[1]["dedup_key"] == first[0]["dedup_key"] != both[0]["dedup_key"]
    assert [(one["event_action"], one["dedup_key"]) for one in last] == [("resolve", both[0]["dedup_key"])]

    first, none, both, last = _by(found, OPSGENIE)
    assert none == []
    alias = first[0]["json"]["alias"]
    assert first[0]["json"]["priority"] == "P1"
    assert [one["path"] for one in both] == ["/v2/alerts", f"/v2/alerts/{alias}/close?identifierType=alias"]
    other = both[0]["json"]["alias"]
    assert [one["path"] for one in last] == [f"/v2/alerts/{other}/close?identifierType=alias"]
    assert last[0]["json"]["note"].startswith("synk: MENDED backup-fresh (major)")


LIVE = (
    "<!here> <!channel> <@U123> <@&77> <#1> @here @everyone @a.person",
    "<https://evil.example/x|https://bank.example> [bank](https://evil.example/x) ![x](http://evil.example/i.png)",
    "<script>alert(1)</script><img src=x onerror=alert(1)><h1>gone</h1></pre>",
    "*bold* `code` ||hidden|| &lt;!here&gt; &#60;script&#62; # heading",
    *HOSTILE[:6],
)


def _hostile() -> list[Result]:
    """Two results that have all of it in every place from which a message takes something."""
    long = " ".join(LIVE)
    places = dict.fromkeys(("message", "seen", "expected", "remedy", "title", "looked_at", "guide", "section"), long)
    return [
        broken("one", **{**places, "item": LIVE[0]}),
        blind("two", LIVE[1], **{**places, "cause_text": LIVE[2], "remedy": LIVE[3]}),
    ]


def test_no_text_is_live_in_a_chat(doors: Path) -> None:
    urls = [
        "slack://T1JJ3T3L2/A1BRTD4JD/TIiajkdnlazkcOXrIdevi7FQ/#ops",
        "tgram://123456789:abcdefg_hijklmnop/12315544/",
    ]
    urls.append("discord://4174216298/JHMHI8qBe7bk2ZwO5U711o3dV_js")
    found = tell_inside(doors, [*urls, urls[2] + "?format=markdown", urls[1] + "?format=markdown"], [_hostile()[:1]])
    assert not [said for said in found[0]["said"] if "answered 20" not in said]
    for host in (SLACK, TELEGRAM, DISCORD):
        ((*sent,),) = _by(found, host)
        assert sent
        for one in sent:
            text = json.dumps({**one["json"], "username": "", "icon_url": "", "avatar_url": ""}, ensure_ascii=False)
            assert not re.search(r"<[!@#a-z/]|@here|@everyone|://|\]\(", re.sub(r"</?(b|i|pre|code)>", "", text)), text
            assert len(str(one["json"].get("content", ""))) <= 2000
