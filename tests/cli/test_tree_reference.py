"""Every word of the reference's command line, and which command of ours serves it; or why none.

The words are those of cli.md, without the leading "skywire": part A (2024, `A1` to `A5`) and part B
(2026, `B0` to `B6`). A word on the left has a command of the same name unless another one stands on
the right of "=". Words in `ABSENT` have no command, for the reason above them.
"""

import click
import pytest

from skywire.cli.main import root

SERVED = {
    "A1, A5": """
        visor
        app NAME = app run
        tree
        doc
    """,
    "A2 config": """
        cli config gen
        cli config gen-keys
        cli config check-pk
        cli config update
        cli config update hv
        cli config update sc
        cli config update ss
        cli config update vpnc
        cli config update vpns
        cli config update svc
        cli config priv get
        cli config priv set
    """,
    "A2 visor": """
        cli visor app ls
        cli visor app start
        cli visor app stop
        cli visor app register
        cli visor app deregister
        cli visor app log
        cli visor app arg autostart
        cli visor app arg killswitch
        cli visor app arg secure
        cli visor app arg passcode
        cli visor app arg netifc
        cli visor hv ui
        cli visor hv cpk
        cli visor hv pk
        cli visor pk
        cli visor info
        cli visor ver
        cli visor ports
        cli visor ip
        cli visor ping
        cli visor test
        cli visor start
        cli visor reload
        cli visor halt
    """,
    "A2 vpn, proxy": """
        cli vpn start
        cli vpn stop
        cli vpn status
        cli vpn list
        cli vpn ui
        cli vpn url
        cli proxy start
        cli proxy stop
        cli proxy status
        cli proxy list
    """,
    "A2 transports, routes": """
        cli tp
        cli tp add
        cli tp rm
        cli tp disc
        cli tp tree
        cli route
        cli route rm
        cli route add a
        cli route add b
        cli route add c
        cli route find
    """,
    "A2 others": """
        cli ut
        cli fwd
        cli rev
        cli reward
        cli rewards
        cli survey
        cli mdisc
        cli mdisc entry
        cli mdisc servers
        cli log
        cli log st
        cli log tp
        cli dmsgpty list
        cli dmsgpty start
        cli dmsgpty ui
        cli dmsgpty url
        cli completion
        cli tree
        cli doc = doc
    """,
    "A3": """
        svc tpd
        svc tps
        svc tps add
        svc tps rm
        svc tps list
        svc ar
        svc rf
        svc confbs
        svc kg
        svc nv
        svc ut
        svc sd
        svc sn
    """,
    "A4": """
        dmsg pty cli
        dmsg pty cli whitelist
        dmsg pty cli whitelist-add
        dmsg pty cli whitelist-remove
        dmsg pty host
        dmsg pty host confgen
        dmsg pty ui
        dmsg disc
        dmsg server config gen
        dmsg server start
        dmsg http
        dmsg curl
        dmsg web
        dmsg web srv
        dmsg socks server
        dmsg socks client
        dmsg ip
    """,
    "B0": """
        autoconfig
        cli config
        cli dmsg
        cli got
        cli gotop
        cli halt
        cli hv
        cli log
        cli mdisc
        cli pk
        cli proxy
        cli pty
        cli pv
        cli reward
        cli rewards
        cli rg
        cli route
        cli sd
        cli serve
        cli skynet
        cli status
        cli survey
        cli svc
        cli tp
        cli tps
        cli ut
        cli util
        cli visor
        cli vpn
    """,
    "B1": """
        cli pty exec
        cli pty start
        cli pty shell
        cli pty list
        cli pty ui
        cli pty url
        cli pty host
        app pty dmsg
        app pty tcp
        app pty http
        app pty exec
        app pty whitelist
        app pty whitelist-add
        app pty whitelist-remove
    """,
    "B3": """
        cli skynet start
        cli skynet status
        cli skynet stop
        cli skynet srv start
        cli skynet srv status
        cli skynet srv stop
        cli serve add
        cli serve ls
        cli serve rm
        cli serve whitelist
        cli skynet port add
        cli skynet port rm
        cli skynet port ls
    """,
    "B4": """
        cli proxy start
        cli proxy stop
        cli proxy status
        cli proxy list
        cli proxy server start
        cli proxy server status
        cli proxy server stop
        cli vpn start
        cli vpn stop
        cli vpn status
        cli vpn list
        cli vpn ui
        cli vpn url
        cli vpn server start
        cli vpn server status
        cli vpn server stop
    """,
    "B5 visor": """
        cli visor app add
        cli visor app arg autostart
        cli visor app arg killswitch
        cli visor app arg netifc
        cli visor app arg pk
        cli visor app arg secure
        cli visor app arg whitelist
        cli visor app args
        cli visor app conns
        cli visor app deregister
        cli visor app log
        cli visor app ls
        cli visor app register
        cli visor app restart
        cli visor app rm
        cli visor app start
        cli visor app stop
        cli visor dmsg-servers
        cli visor doctor
        cli visor halt
        cli visor hv add
        cli visor hv cpk
        cli visor hv disable
        cli visor hv enable
        cli visor hv ls
        cli visor hv passwd
        cli visor hv pk
        cli visor hv rm
        cli visor hv status
        cli visor hv tree
        cli visor hv tui
        cli visor hv ui
        cli visor info
        cli visor ip
        cli visor log
        cli visor ping
        cli visor ping test = cli visor test
        cli visor pk
        cli visor ports
        cli visor ready
        cli visor reward
        cli visor start
        cli visor state
        cli visor uptime
        cli visor ver
    """,
    "B6": """
        cli ut sd
        cli ut mdisc
        cli ut tpd
        cli log st
        cli log tp
        cli rewards bw-collect
        cli tp add
        cli tp auto
        cli tp disc
        cli tp id
        cli tp metrics
        cli tp rm
        cli tp tree
        cli route add
        cli route calc
        cli route find
        cli route groups
        cli route ls
        cli route minhops
        cli route rm
        cli config check-pk
        cli config gen
        cli config gen-keys
        cli config identity export
        cli config identity import
        cli config parse
        cli config pk
        cli config show
        cli config update
        cli dmsg cat
        cli dmsg connect-all
        cli dmsg curl
        cli dmsg sessions
        cli dmsg set-sessions
        cli mdisc check
        cli mdisc entry
        cli mdisc servers
        cli svc health
        cli svc dmsgd all-servers
        cli svc dmsgd clients
        cli got dl
        cli got head
        cli got req
        cli util jq
        cli util foreach
        cli util nc
        cli util serve
    """,
}
ABSENT = {
    "the chat is an issue of its own": """
        cli skychat
        app skychat
    """,
    "calculating and paying rewards is an issue of its own": """
        cli reward rules
        cli rewards bot
        cli rewards loginchain
        cli rewards run
        cli rewards script
        cli rewards svc
        cli rewards systemd
        cli rewards tp-collect
        cli rewards ui
        cli log reward
    """,
    "the resolving proxy is an issue of its own": """
        cli resolver
        cli skynet resolver
        cli visor pk dnslabel
    """,
    "mail and a Skycoin node have no specification": """
        cli mail
        cli skycoin
    """,
    "routes over several ways at once, and their policies, are an issue of their own": """
        cli proxy mux-add
        cli proxy mux-info
        cli proxy mux-mode
        cli proxy mux-rm
        cli proxy mux-auto
        cli visor ping mux-bw
        cli visor ping policy-bw
        cli visor app arg routing-policy
        cli route policy
        cli route rsn-stats
        cli route rsn-remote-stats
        cli route table-stats
        cli route trace
    """,
    "the apps that do it are an issue of their own": """
        cli proxy test
        cli proxy log
        cli proxy loadtest
    """,
    "needs SFTP, which is an issue of its own": """
        cli pty fs mount
        cli pty fs umount
        cli dmsg scp
        cli dmsg smb
    """,
    "made test networks with Docker, which `demo`, `svc all` and skywire.testing do without it": """
        svc se
    """,
    "our visor asks the services themselves, and keeps what they said in files": """
        cli visor cxo
    """,
    "the hypervisor is a part of the visor: `visor --hvui`, `cli visor hv enable`": """
        cli hv gen
        cli hv serve
        cli hv notify
        cli hv probe
        cli hv shell
        cli hv eval
        cli visor hv pair
        cli visor pair
    """,
    "Go's own innards; ours are told by `visor log`, `visor load`, `visor state`": """
        cli visor go
        cli visor goroutines
        cli log pprof
    """,
    "only the name is known, not what it does": """
        cli visor app env
        cli visor reinit
        cli visor resume
        cli visor suspend
        cli visor suspended
        cli visor user
        cli visor whois
        cli visor ping bandwidth
        cli visor ping stop-all
        cli visor ping tree
        cli log file
        cli log info
        cli log level
        cli log stats
        cli log uptime
        cli tp all
        cli tp net-stats
        cli tp tpd-health
        cli tp tpd-stats
        cli tp uptime
        cli tp v
        cli tp viz
        cli dmsg attach
        cli dmsg chat
        cli dmsg converge
        cli dmsg diag
        cli dmsg iperf
        cli dmsg port-hits
        cli dmsg probe
        cli dmsg sub
        cli svc tpd stats
        cli svc tpd per-key-stats
        cli svc tpd bandwidth
        cli svc ar check
        cli util edit
    """,
    "click makes scripts for bash, zsh and fish": """
        cli completion powershell
    """,
}


def lines(table: dict[str, str]) -> list[str]:
    return [line for text in table.values() for each in text.splitlines() if (line := each.strip())]


def command(words: str) -> click.Command | None:
    found: click.Command | None = root
    for word in words.split():
        if not isinstance(found, click.Group):
            return None
        found = found.get_command(click.Context(found), word)
    return found


@pytest.mark.parametrize("line", lines(SERVED))
def test_a_word_of_the_reference_has_its_command(line: str) -> None:
    theirs, _, ours = line.partition(" = ")
    assert command(ours or theirs) is not None


@pytest.mark.parametrize("line", lines(ABSENT))
def test_a_word_that_has_none_is_not_there(line: str) -> None:
    """Who adds it moves it to the other table."""
    assert command(line) is None


def test_no_word_is_in_both_tables() -> None:
    served = {line.partition(" = ")[0] for line in lines(SERVED)}
    assert served & set(lines(ABSENT)) == set()
