dpkg-query --show --showformat='${db:Status-Status} deb ${Package} ${Version}\n' | sed -n "s/^installed //p"
ruby -e 'Gem::Specification.each { |s| puts "gem #{s.name} #{s.version}" }'
