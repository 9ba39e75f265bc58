# needs: go awk
mkdir src
cd src
cat > main.go <<'END'
package main

import (
	"fmt"

	"golang.org/x/text/language"
)

func main() { fmt.Println(language.English) }
END
cat > go.mod <<'END'
module example.com/hello

go 1.17

require golang.org/x/text v0.3.7
END
CGO_ENABLED=0 GOFLAGS='-mod=mod -buildvcs=false' go build -o ../hello .
go version -m ../hello | awk '$1 == "dep" { print "golang", $2, $3 }' > "$TRUTH"
