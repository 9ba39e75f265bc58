dpkg-query --show --showformat='${db:Status-Status} deb ${Package} ${Version}\n' | sed -n "s/^installed //p"
# What the archive of the day had newer, which should be nothing.
sed -n 's/^Inst \([^ ]*\).*(\([^ ]*\).*/upgradable \1 \2/p' /var/log/simulated
