package jsonlimit

import (
	"encoding/json"
	"errors"
	"io"
	"strings"
	"testing"
	"testing/iotest"
)

func TestCheck(t *testing.T) {
	limits := Limits{Depth: 3, List: 4, Objects: 5, Values: 14}
	for name, test := range map[string]struct{ document, says string }{
		"nothing":                   {``, ""},
		"just deep enough":          {`[[[1]]]`, ""},
		"too deep":                  {`[[[[1]]]]`, "deeply"},
		"just long enough":          {`{"a":[1,2,3,4],"b":[1,2,3,4]}`, ""},
		"a list too long":           {`{"a":[1,2,3,4,5]}`, "more than 4 elements"},
		"an inner list too long":    {`[[1],[1,2,3,4,5]]`, "more than 4 elements"},
		"members are no elements":   {`{"a":1,"b":2,"c":3,"d":4,"e":5,"f":6}`, ""},
		"objects in all":            {`[[{},{},{}],[{},{},{}]]`, "more than 5 objects"},
		"values in all":             {`{"a":[1,2,3],"b":[1,2,3],"c":[1,2,3],"d":[1,2]}`, "more than 14 values"},
		"words that look like them": {`["[[[[[[{{{{{{,,,,,,,,,,,,,,,,,\"[[[[","\\",{}]`, ""},
		"no JSON":                   {`]]}},{`, ""},
	} {
		err := Check([]byte(test.document), limits)
		if (err == nil) != (test.says == "") || err != nil && (!errors.Is(err, ErrLimit) || !strings.Contains(err.Error(), test.says)) {
			t.Errorf("%s: %v", name, err)
		}
		// The same in pieces.
		_, read := io.ReadAll(NewReader(iotest.OneByteReader(strings.NewReader(test.document)), limits))
		if (read == nil) != (err == nil) || read != nil && read.Error() != err.Error() {
			t.Errorf("%s: read in pieces: %v", name, read)
		}
	}
	if err := Check([]byte(strings.Repeat("[1,", 100_000)), Limits{}); err != nil {
		t.Errorf("without limits: %v", err)
	}
}

// What is counted is what a decoder sees.
func FuzzCheck(f *testing.F) {
	for _, seed := range []string{`{"a":[1,{"b":[]}],"c":"\"[{,"}`, `[[],[{}],{"a":{}}]`, `"\\"`, `[1,2,"x\u005b"]`, ` [ { } , null ] `} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		if !json.Valid(data) {
			Check(data, Limits{Depth: 2, List: 2, Objects: 2, Values: 2})
			return
		}
		d := json.NewDecoder(strings.NewReader(string(data)))
		var depth, deepest, objects int
		for {
			token, err := d.Token()
			if err != nil {
				break
			}
			switch token {
			case json.Delim('{'), json.Delim('['):
				depth++
				deepest = max(deepest, depth)
				if token == json.Delim('{') {
					objects++
				}
			case json.Delim('}'), json.Delim(']'):
				depth--
			}
		}
		for _, limit := range []struct {
			Limits
			over bool
		}{{Limits{Depth: max(deepest, 1)}, false}, {Limits{Objects: max(objects, 1)}, false}, {Limits{Depth: deepest - 1}, deepest > 1}, {Limits{Objects: objects - 1}, objects > 1}} {
			if err := Check(data, limit.Limits); (err != nil) != limit.over {
				t.Errorf("%q: %d deep, %d objects, with %+v: %v", data, deepest, objects, limit.Limits, err)
			}
		}
	})
}
