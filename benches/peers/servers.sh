# Sourced by run.sh: how each system is started. Each function starts one, in the background, with its data in the folder $1, on the loopback
# interface; it sets `address`, and `pid`, the process whose memory is of interest. Every process is noted in `started`.
# It uses `driver`, `home`, `libraries` and `here` of run.sh.
# shellcheck shell=bash disable=SC2034,SC2154

launch() {
    local log=$1
    shift
    "$@" >"$log" 2>&1 </dev/null &
    pid=$!
    started+=("$pid")
}

# As the documentation says for durability; what is not named is the default.
start_redis() {
    local folder=$1 fsync=$2 port
    port=$("$driver" free-ports 1)
    address=127.0.0.1:$port
    # No snapshots and no rewriting of the file during a run: both would cost Redis speed, and neither makes a message safer.
    launch "$folder/log" env LD_LIBRARY_PATH="$libraries" "$home/root/usr/bin/redis-server" \
        --bind 127.0.0.1 --port "$port" --dir "$folder" --daemonize no \
        --appendonly yes --appendfsync "$fsync" --save "" --auto-aof-rewrite-percentage 0
}

start_jetstream() {
    local folder=$1 sync=$2 port
    port=$("$driver" free-ports 1)
    address=127.0.0.1:$port
    {
        echo "listen: \"$address\""
        echo "jetstream {"
        echo "  store_dir: \"$folder/store\""
        # Left out, it is two minutes.
        if [ "$sync" = always ]; then echo "  sync_interval: always"; fi
        echo "}"
    } >"$folder/nats.conf"
    launch "$folder/log" "$home/nats/bin/nats-server" -c "$folder/nats.conf"
}

start_rabbitmq() {
    local folder=$1 ports epmd distribution
    mapfile -t ports < <("$driver" free-ports 3)
    address=127.0.0.1:${ports[0]}
    epmd=${ports[1]}
    distribution=${ports[2]}
    printf 'listeners.tcp.1 = %s\n' "$address" >"$folder/rabbitmq.conf"
    printf '[].\n' >"$folder/enabled_plugins"
    # Erlang's port mapper, started here and not by Erlang, so that it ends with the rest and takes no well-known port.
    launch "$folder/epmd.log" "$(echo "$home"/root/usr/lib/erlang/erts-*/bin/epmd)" -address 127.0.0.1 -port "$epmd"
    wait_for "127.0.0.1:$epmd" "$folder/epmd.log"
    # As under systemd the script becomes the server: its pid is the server's, and SIGTERM ends it.
    launch "$folder/log" env PATH="$home/bin:$PATH" HOME="$folder" ERL_EPMD_PORT="$epmd" RUNNING_UNDER_SYSTEMD=true \
        RABBITMQ_NODENAME=peers@localhost RABBITMQ_DIST_PORT="$distribution" \
        RABBITMQ_SERVER_ADDITIONAL_ERL_ARGS="-kernel inet_dist_use_interface {127,0,0,1}" \
        RABBITMQ_CONF_ENV_FILE="$folder/none" RABBITMQ_CONFIG_FILE="$folder/rabbitmq.conf" \
        RABBITMQ_ENABLED_PLUGINS_FILE="$folder/enabled_plugins" RABBITMQ_MNESIA_BASE="$folder/mnesia" \
        RABBITMQ_GENERATED_CONFIG_DIR="$folder/config" RABBITMQ_LOG_BASE="$folder" RABBITMQ_PID_FILE="$folder/pid" \
        "$(echo "$home"/root/usr/lib/rabbitmq/lib/rabbitmq_server-*)/sbin/rabbitmq-server"
}

start_less() {
    local folder=$1 port
    port=$("$driver" free-ports 1)
    address=127.0.0.1:$port
    launch "$folder/log" "$here/app/.less/bin/peers_app" --listen "$address" --data "$folder/data"
}

# Waits until something listens there and what was started last still runs.
wait_for() {
    local deadline=$((SECONDS + 60))
    until (exec 3<>"/dev/tcp/${1%:*}/${1#*:}") 2>/dev/null; do
        if ! kill -0 "$pid" 2>/dev/null || [ $SECONDS -ge $deadline ]; then
            cat "$2" >&2
            echo "error: the server did not start: nothing listens on $1" >&2
            return 2
        fi
        sleep 0.1
    done
}

# Ends what was started, the last first: gently, and after 20 s by force.
stop_all() {
    local index one deadline
    for ((index = ${#started[@]} - 1; index >= 0; index--)); do
        one=${started[index]}
        kill -TERM "$one" 2>/dev/null || continue
        deadline=$((SECONDS + 20))
        while kill -0 "$one" 2>/dev/null; do
            if [ $SECONDS -ge $deadline ]; then kill -KILL "$one" 2>/dev/null || true; fi
            sleep 0.05
        done
        wait "$one" 2>/dev/null || true
    done
    started=()
}
