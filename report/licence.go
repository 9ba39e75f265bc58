package report

import (
	"strings"
	"unicode"
)

// spdxExpression says whether declared is an SPDX licence expression over
// identifiers that this package knows for sure. Packages declare licences in any
// words; whatever is not certain stays a name.
func spdxExpression(declared string) bool {
	if len(declared) > maxName {
		return false
	}
	const (
		wantID = iota
		wantException
		wantOperator
	)
	state, depth := wantID, 0
	for _, token := range licenceTokens(declared) {
		switch {
		case token == "(" && state == wantID:
			depth++
		case token == ")" && state == wantOperator && depth > 0:
			depth--
		case state == wantOperator && (token == "AND" || token == "OR"):
			state = wantID
		case state == wantOperator && token == "WITH":
			state = wantException
		case state == wantException && (token == "Classpath-exception-2.0" || token == "GCC-exception-3.1" || token == "LLVM-exception" || token == "OpenSSL-exception"),
			state == wantID && spdxID(token):
			state = wantOperator
		default:
			return false
		}
	}
	return state == wantOperator && depth == 0
}

func licenceTokens(s string) []string {
	var tokens []string
	for _, word := range strings.FieldsFunc(s, unicode.IsSpace) {
		for strings.HasPrefix(word, "(") {
			tokens, word = append(tokens, "("), word[1:]
		}
		closing := len(word) - len(strings.TrimRight(word, ")"))
		if word = word[:len(word)-closing]; word != "" {
			tokens = append(tokens, word)
		}
		for range closing {
			tokens = append(tokens, ")")
		}
	}
	return tokens
}

// spdxID knows the identifiers of the SPDX licence list that packages declare
// most.
func spdxID(s string) bool {
	switch s {
	case "0BSD", "AFL-2.1", "AFL-3.0", "AGPL-3.0-only", "AGPL-3.0-or-later", "Apache-1.1", "Apache-2.0", "Artistic-1.0", "Artistic-1.0-Perl",
		"Artistic-2.0", "BSD-2-Clause", "BSD-3-Clause", "BSD-4-Clause", "BSL-1.0", "BlueOak-1.0.0", "CC-BY-3.0", "CC-BY-4.0", "CC-BY-SA-4.0",
		"CC0-1.0", "CDDL-1.0", "CDDL-1.1", "CPL-1.0", "EPL-1.0", "EPL-2.0", "EUPL-1.2", "FTL", "GFDL-1.3-only", "GFDL-1.3-or-later",
		"GPL-1.0-only", "GPL-1.0-or-later", "GPL-2.0-only", "GPL-2.0-or-later", "GPL-3.0-only", "GPL-3.0-or-later", "HPND", "ICU", "IJG",
		"ISC", "LGPL-2.0-only", "LGPL-2.0-or-later", "LGPL-2.1-only", "LGPL-2.1-or-later", "LGPL-3.0-only", "LGPL-3.0-or-later", "Libpng",
		"MIT", "MIT-0", "MPL-1.1", "MPL-2.0", "MS-PL", "NCSA", "OFL-1.1", "OLDAP-2.8", "OpenSSL", "PHP-3.01", "PSF-2.0", "PostgreSQL",
		"Python-2.0", "Ruby", "SSPL-1.0", "Unicode-DFS-2016", "Unlicense", "Vim", "W3C", "WTFPL", "X11", "Zlib", "ZPL-2.1", "bzip2-1.0.6", "curl":
		return true
	}
	return false
}
