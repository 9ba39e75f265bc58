package langpkg

import (
	"bytes"
	"encoding/json"
	"errors"
	"maps"
	"slices"

	"plimsoll"
	"plimsoll/inventory"
)

var errJSON = errors.New("not valid JSON")

// Depth to which nested JSON is followed; deeper documents are refused.
const maxJSONDepth = 200

// members calls fn for each member of the JSON object that data holds, with the
// member's value still encoded. Values that fn does not decode are only skipped,
// not checked: package.json files are read by the thousand, and three members
// of thirty matter. encoding/json would also take "Version" for "version".
func members(data []byte, fn func(key string, value []byte) error) error {
	return walkJSON(data, '{', func(key, value []byte) error {
		name := key[1 : len(key)-1]
		if bytes.IndexByte(name, '\\') < 0 {
			return fn(string(name), value)
		}
		var s string
		if err := json.Unmarshal(key, &s); err != nil {
			return errJSON
		}
		return fn(s, value)
	})
}

// elements is members for the elements of an array.
func elements(data []byte, fn func(value []byte) error) error {
	return walkJSON(data, '[', func(_, value []byte) error { return fn(value) })
}

func walkJSON(data []byte, open byte, fn func(key, value []byte) error) error {
	data = bytes.TrimPrefix(data, []byte("\xef\xbb\xbf"))
	i := space(data, 0)
	if i == len(data) || data[i] != open {
		return errJSON
	}
	closing := open + 2 // '{' and '}', '[' and ']' are two apart
	if i = space(data, i+1); i < len(data) && data[i] == closing {
		return nil
	}
	for {
		var key []byte
		if open == '{' {
			end := skipString(data, i)
			if end < 0 {
				return errJSON
			}
			key = data[i:end]
			if i = space(data, end); i == len(data) || data[i] != ':' {
				return errJSON
			}
			i = space(data, i+1)
		}
		end := skipValue(data, i)
		if end <= i {
			return errJSON
		}
		if err := fn(key, data[i:end]); err != nil {
			return err
		}
		i = space(data, end)
		switch {
		case i == len(data):
			return errJSON
		case data[i] == closing:
			return nil
		case data[i] != ',':
			return errJSON
		}
		i = space(data, i+1)
	}
}

func space(data []byte, i int) int {
	for i < len(data) && (data[i] == ' ' || data[i] == '\n' || data[i] == '\r' || data[i] == '\t') {
		i++
	}
	return i
}

// skipString returns the index behind the string that starts at i, or -1.
func skipString(data []byte, i int) int {
	if i >= len(data) || data[i] != '"' {
		return -1
	}
	for i++; ; {
		n := bytes.IndexByte(data[i:], '"')
		if n < 0 {
			return -1
		}
		i += n
		slashes := 0
		for data[i-1-slashes] == '\\' {
			slashes++
		}
		i++
		if slashes%2 == 0 {
			return i
		}
	}
}

// skipValue returns the index behind the value that starts at i, or -1.
func skipValue(data []byte, i int) int {
	depth := 0
	for i < len(data) {
		switch c := data[i]; c {
		case '"':
			if i = skipString(data, i); i < 0 {
				return -1
			}
		case '{', '[':
			if depth++; depth > maxJSONDepth {
				return -1
			}
			i++
			continue
		case '}', ']':
			if depth--; depth < 0 {
				return -1
			}
			i++
		case ',', ':', ' ', '\n', '\r', '\t':
			if depth == 0 {
				return -1
			}
			i++
			continue
		default:
			for i < len(data) && !delimiter(data[i]) {
				i++
			}
		}
		if depth == 0 {
			return i
		}
	}
	return -1
}

func delimiter(c byte) bool {
	switch c {
	case ',', ':', ' ', '\n', '\r', '\t', '}', ']', '{', '[', '"':
		return true
	}
	return false
}

// jsonString returns the string that value holds, or "" for any other value.
func jsonString(value []byte) string {
	if len(value) < 2 || value[0] != '"' {
		return ""
	}
	if bytes.IndexByte(value, '\\') < 0 {
		return string(value[1 : len(value)-1])
	}
	var s string
	if json.Unmarshal(value, &s) != nil {
		return ""
	}
	return s
}

func jsonTrue(value []byte) bool { return string(value) == "true" }

// jsonField returns the string of one member of an object.
func jsonField(object []byte, key string) (s string) {
	_ = members(object, func(k string, v []byte) error {
		if k == key {
			s = jsonString(v)
		}
		return nil
	})
	return s
}

// jsonStrings returns the strings of an array, or a single string as a list.
func jsonStrings(value []byte) (out []string) {
	if s := jsonString(value); s != "" {
		return []string{s}
	}
	_ = elements(value, func(v []byte) error {
		if s := jsonString(v); s != "" && len(out) < maxPackages {
			out = append(out, s)
		}
		return nil
	})
	return out
}

var errTooMany = errors.New("more packages than the limit")

// keep adds a package that names itself, while there is room.
func keep(facts *inventory.Facts, p plimsoll.Package) error {
	if !identified(&p) {
		return nil
	}
	if len(facts.Packages) >= maxPackages {
		return errTooMany
	}
	facts.Packages = append(facts.Packages, p)
	return nil
}

// recordsError turns an error of walking a package manager's record into one
// with a code.
func recordsError(op string, err error) error {
	if errors.Is(err, errTooMany) {
		return plimsoll.Errorf(plimsoll.CodeLimit, op, "%w of %d", err, maxPackages)
	}
	return corrupt(op, "%w", err)
}

func sortedKeys[V any](m map[string]V) []string { return slices.Sorted(maps.Keys(m)) }
