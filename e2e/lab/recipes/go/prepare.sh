# needs: go awk
mkdir src
mv main.go.txt src/main.go
mv go.mod.txt src/go.mod
cd src
export CGO_ENABLED=0 GOFLAGS='-mod=mod -buildvcs=false'
go build -o ../server .
go build -ldflags='-s -w' -trimpath -o ../server.stripped .
cd ..
for program in server server.stripped; do
	go version -m "$program" | awk '
		$1 == "dep" { path = $2; version[path] = $3 }
		$1 == "=>" { delete version[path]; version[$2] = $3 }
		END { for (p in version) print "golang", p, version[p] }' >> "$TRUTH"
done
