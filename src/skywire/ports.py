"""Well-known ports: dmsg, skynet, TCP. Source: dmsg.md §7, hypervisor.md §1, apps.md §1."""

DMSG_IP_LOOKUP = 1
DMSG_CONTROL = 7
DMSG_PTY = 22
DMSG_SETUP_NODE = 36
DMSG_RPC = 44  # 2026; for keys in a whitelist
DMSG_TRANSPORT = 45
DMSG_HYPERVISOR = 46
DMSG_TRANSPORT_SETUP = 47
DMSG_HTTP = 80
DMSG_AWAIT_SETUP = 136

SKYNET_FORWARDING_2024 = 47  # dialled, never listened on: update 3095
SKYNET_PING_2024 = 48  # a visor's own, for routes that lead back to it
SKYNET_FORWARDING = 57
SKYNET_PING = 58
SKYNET_FORWARDING_MUX = 59

# The counter of local ports starts here and is raised before use: 49153 is the first. For dmsg and
# for routes, each by itself.
EPHEMERAL_FIRST = 49152
EPHEMERAL_LAST = 65535

VISOR_RPC = "localhost:3435"
DMSG_DISCOVERY_HTTP = 9090
HYPERVISOR_HTTP = 8000
