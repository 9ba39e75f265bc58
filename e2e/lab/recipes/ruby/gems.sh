# Gems of known names and old versions, empty but built and installed by gem.
mkdir /tmp/gems
cd /tmp/gems
while read -r name version platform; do
	cat > "$name.gemspec" <<END
Gem::Specification.new do |s|
  s.name = "$name"
  s.version = "$version"
  s.platform = "$platform"
  s.summary = "stand-in"
  s.authors = ["lab"]
  s.license = "MIT"
end
END
	gem build --quiet "$name.gemspec"
	gem install --quiet --local --no-document --force ./"$name-$version"*.gem
done <<END
actionpack 5.2.0 ruby
json-jwt 1.9.0 ruby
loofah 2.2.0 ruby
nokogiri 1.10.3 x86_64-linux
puma 4.3.0 ruby
rails 5.2.0.rc1 ruby
rubyzip 1.2.0 ruby
sprockets 3.7.1 ruby
END
rm -r /tmp/gems
