dpkg-query --show --showformat='${db:Status-Status} deb ${Package} ${Version}\n' | sed -n "s/^installed //p"
# What the archive of the day has newer, which should be nothing.
apt-get --simulate dist-upgrade | sed -n 's/^Inst \([^ ]*\).*(\([^ ]*\).*/upgradable \1 \2/p'
