#!/bin/sh
# Says what to do when the data directory belongs to somebody else, then becomes the command.
set -eu
data=${MAINSPRING_DATA:-/data}
case "${1:-serve}" in
  serve)
    for path in "$data" "$data/mainspring.db" "$data/secret.key"; do
      if [ -e "$path" ] && ! { [ -r "$path" ] && [ -w "$path" ]; }; then
        echo "mainspring: this container runs as user $(id -u), group $(id -g), and cannot write to $path" >&2
        echo "  On the host: sudo chown -R $(id -u):$(id -g) <the directory mounted on $data>" >&2
        exit 1
      fi
    done
    ;;
esac
exec mainspring "$@"
