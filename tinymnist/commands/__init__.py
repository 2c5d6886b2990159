"""The subcommands of ``tinymnist``, one file each.

Each has ``EXAMPLES`` for its help, ``add_arguments(parser)`` and ``run(arguments) -> exit code``,
and imports what it needs when it runs.
"""
