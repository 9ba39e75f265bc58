package store

import (
	"encoding/base64"
	"encoding/json"
	"slices"
	"strings"
	"unicode/utf8"

	"plimsoll"
	"plimsoll/api"
)

// where collects conditions that are joined with AND. Conditions are constants
// of ours; what comes from outside is bound. The zero value is met by every row.
type where struct {
	conditions []string
	args       []any
	from       []any // parameters of the tables before WHERE
	err        error // the first text that no column can hold
}

// and adds a condition with its parameters.
func (w *where) and(condition string, args ...any) {
	for _, a := range args {
		if text, ok := a.(string); ok && !storable(text) && w.err == nil {
			w.err = plimsoll.Errorf(plimsoll.CodeInvalid, "read the filter", "a text is not UTF-8 or holds a zero byte")
		}
	}
	w.conditions = append(w.conditions, "("+condition+")")
	w.args = append(w.args, args...)
}

// storable says whether both databases can hold the text.
func storable(text string) bool {
	return utf8.ValidString(text) && strings.IndexByte(text, 0) < 0
}

// never makes the condition one that no row meets.
func (w *where) never() { w.and("1 = 0") }

// in narrows to rows whose column is in the list; an empty list finds nothing.
// More values than a statement can bind are CodeInvalid.
func in[T any](w *where, column string, list []T) {
	if len(list) > maxParameters/2 && w.err == nil {
		w.err = plimsoll.Errorf(plimsoll.CodeInvalid, "read the filter", "a list of %d values, at most %d", len(list), maxParameters/2)
		return
	}
	w.and(column+" IN ("+marks(len(list))+")", args(list)...)
}

var likeEscapes = strings.NewReplacer(`\`, `\\`, `%`, `\%`, `_`, `\_`)

// contains narrows to rows whose column, which holds lower-case text, contains
// the text in any case.
func (w *where) contains(column, text string) {
	w.and(like(column), likePattern(text))
}

// like and likePattern are the parts of contains, for conditions with OR.
func like(column string) string { return column + ` LIKE ? ESCAPE '\'` }

func likePattern(text string) string {
	return "%" + likeEscapes.Replace(strings.ToLower(text)) + "%"
}

// prefix narrows to rows whose column begins with the text; an index serves it.
func (w *where) prefix(column, text string) {
	w.and(column+" >= ? AND "+column+" < ?", text, afterPrefix(text))
}

// afterPrefix returns the first text behind all that begin with text.
func afterPrefix(text string) string { return text + string(utf8.MaxRune) }

// glob narrows to rows whose column fits the pattern: '*' any text, '?' one
// character, everything else stands for itself.
func (w *where) glob(d *dialect, column, pattern string) {
	if d == postgres {
		w.and(like(column), strings.NewReplacer("*", "%", "?", "_").Replace(likeEscapes.Replace(pattern)))
		return
	}
	w.and(column+" GLOB ?", strings.ReplaceAll(pattern, "[", "[[]"))
}

// String returns " WHERE …", or nothing when there is no condition.
func (w *where) String() string {
	if len(w.conditions) == 0 {
		return ""
	}
	return " WHERE " + strings.Join(w.conditions, " AND ")
}

// hostInSight returns the condition under which the host whose ID is in column
// is within the scope.
func hostInSight(scope plimsoll.Scope, column string) (string, []any) {
	switch {
	case scope.All:
		return "1 = 1", nil
	case len(scope.Labels) == 0:
		return "1 = 0", nil
	}
	labels := slices.Compact(slices.Sorted(slices.Values(scope.Labels)))
	return column + " IN (SELECT host_id FROM host_label WHERE label IN (" + marks(len(labels)) + "))", args(labels)
}

// seesHost narrows to rows whose host, by the ID in column, is within the scope.
func (w *where) seesHost(scope plimsoll.Scope, column string) {
	if !scope.All {
		text, args := hostInSight(scope, column)
		w.and(text, args...)
	}
}

// seesLive narrows to rows whose image, by the ID in column, a host within the
// scope holds now.
func (w *where) seesLive(scope plimsoll.Scope, column string) {
	if !scope.All {
		text, args := heldInSight(scope, column)
		w.and(text, args...)
	}
}

// seesFound is seesLive for rows that are found by something else: the plus keeps
// SQLite from looking up each image in sight for each of them.
func (w *where) seesFound(scope plimsoll.Scope, column string) {
	w.seesLive(scope, "+"+column)
}

// heldInSight returns the condition under which a host within the scope holds
// the image whose ID is in column.
func heldInSight(scope plimsoll.Scope, column string) (string, []any) {
	return column + " IN (" + theIDs + ")", []any{heldBy{sight: sight{scope: scope}}}
}

// seesImage narrows to images within the scope, gone ones too: those that a host
// in sight holds or, once no host does, held. alias is that of table image.
func (w *where) seesImage(scope plimsoll.Scope, alias string) {
	if scope.All {
		return
	}
	now, args := heldInSight(scope, alias+".id")
	once, more := hostInSight(scope, "was.host_id")
	w.and(now+" OR "+alias+".gone > 0 AND EXISTS (SELECT 1 FROM presence was WHERE was.image_id = "+alias+".id AND "+once+")",
		slices.Concat(args, more)...)
}

// sortKey is one order that a list offers. An index over column and the rows' ID
// serves it.
type sortKey struct {
	name   string  // in the API
	column string  // a constant of ours
	kind   keyKind // of the column
	desc   bool    // its natural order is the largest first
}

type keyKind int8

const (
	keyInteger keyKind = iota
	keyText
	keyNumber
)

// keyset is the place of one page in a list that is sorted by a key and, among
// equals, by the rows' ID in the same direction.
type keyset struct {
	key   sortKey
	list  string // name of the list: cursors of others are refused
	id    string // column of the rows' ID
	asc   bool
	limit int
	after *position
}

// position is the last row of the page before.
type position struct {
	value any
	id    int64
}

// cursor is a position on the wire: opaque, and good for one list in one order.
type cursor struct {
	List  string          `json:"l"`
	Sort  string          `json:"s"`
	Asc   bool            `json:"a,omitempty"`
	Value json.RawMessage `json:"v"`
	ID    int64           `json:"i"`
}

// newKeyset reads what a list request says. list names the list, id is the
// column of the rows' ID, the first key is the default; "-" before a key asks for
// descending order where the natural one ascends. An unknown key and a cursor of
// another list or order are CodeInvalid.
func newKeyset(l api.List, list, id string, keys []sortKey) (*keyset, error) {
	k := &keyset{key: keys[0], list: list, id: id, limit: l.Limit}
	name, descending := strings.CutPrefix(l.Sort, "-")
	if name != "" {
		i := slices.IndexFunc(keys, func(k sortKey) bool { return k.name == name })
		if i < 0 {
			names := make([]string, len(keys))
			for i, key := range keys {
				names[i] = key.name
			}
			return nil, plimsoll.Errorf(plimsoll.CodeInvalid, "sort "+list, "there is no such sort key; there are %s", strings.Join(names, ", "))
		}
		k.key = keys[i]
	}
	k.asc = l.Asc || !k.key.desc && !descending
	if k.limit <= 0 {
		k.limit = api.DefaultLimit
	}
	k.limit = min(k.limit, api.MaxLimit)
	if l.Cursor == "" {
		return k, nil
	}
	var err error
	if k.after, err = k.parse(l.Cursor); err != nil {
		return nil, &plimsoll.Error{Code: plimsoll.CodeInvalid, Op: "read the cursor", Err: err,
			Hint: "start again without a cursor, or repeat the request that gave it"}
	}
	return k, nil
}

func (k *keyset) parse(text string) (*position, error) {
	const longest = 16 << 10 // bytes: the longest key is a name
	foreign := plimsoll.Errorf(plimsoll.CodeInvalid, "read the cursor", "it does not belong to this list in this order")
	if len(text) > longest {
		return nil, foreign
	}
	data, err := base64.RawURLEncoding.DecodeString(text)
	if err != nil {
		return nil, foreign
	}
	var c cursor
	if json.Unmarshal(data, &c) != nil || c.List != k.list || c.Sort != k.key.name || c.Asc != k.asc {
		return nil, foreign
	}
	at := &position{id: c.ID}
	switch k.key.kind {
	case keyText:
		at.value, err = decode[string](c.Value)
	case keyNumber:
		at.value, err = decode[float64](c.Value)
	default:
		at.value, err = decode[int64](c.Value)
	}
	if value, ok := at.value.(string); err != nil || ok && !storable(value) {
		return nil, foreign
	}
	return at, nil
}

func decode[T any](data []byte) (v T, err error) {
	err = json.Unmarshal(data, &v)
	return v, err
}

// next returns the cursor behind a row.
func (k *keyset) next(at position) string {
	value, err := json.Marshal(at.value)
	if err != nil {
		return "" // no column holds what JSON cannot: not reached
	}
	data, err := json.Marshal(cursor{List: k.list, Sort: k.key.name, Asc: k.asc, Value: value, ID: at.id})
	if err != nil {
		return ""
	}
	return base64.RawURLEncoding.EncodeToString(data)
}

// fetch reads the page of k: columns of from (a table or joins) that w allows.
// scan gets a function that scans the row's columns; it must not query. The
// page's Total is -1.
func fetch[T any](t *tx, k *keyset, columns, from string, w where, scan func(scan func(...any) error) (T, error)) (api.Page[T], error) {
	page := api.Page[T]{Items: []T{}, Total: -1}
	w.conditions, w.args = slices.Clip(w.conditions), slices.Clip(w.args) // the caller may count with it
	direction, beyond := " DESC", " < "
	if k.asc {
		direction, beyond = "", " > "
	}
	if k.after != nil {
		w.and("("+k.key.column+", "+k.id+")"+beyond+"(?, ?)", k.after.value, k.after.id)
	}
	if w.err != nil {
		return page, w.err
	}
	order := k.key.column + direction
	if k.key.column != k.id {
		order += ", " + k.id + direction
	}
	query := "SELECT " + k.key.column + ", " + k.id + ", " + columns + " FROM " + from + w.String() + " ORDER BY " + order + " LIMIT ?"
	rows, err := t.query(query, slices.Concat(w.from, w.args, []any{k.limit + 1})...)
	var last position
	err = each(rows, err, func(read func(...any) error) error {
		if len(page.Items) == k.limit { // one more than was asked for: there is a next page
			page.Next = k.next(last)
			return nil
		}
		var text string
		var number float64
		var integer int64
		dest := []any{&integer, &last.id}
		switch k.key.kind {
		case keyText:
			dest[0] = &text
		case keyNumber:
			dest[0] = &number
		}
		item, err := scan(func(more ...any) error { return read(append(dest, more...)...) })
		if err != nil {
			return err
		}
		switch k.key.kind {
		case keyText:
			last.value = text
		case keyNumber:
			last.value = number
		default:
			last.value = integer
		}
		page.Items = append(page.Items, item)
		return nil
	})
	return page, err
}

// count counts the rows of from that w allows.
func (t *tx) count(from string, w where) (n int64, err error) {
	if w.err != nil {
		return 0, w.err
	}
	err = t.row("SELECT count(*) FROM "+from+w.String(), slices.Concat(w.from, w.args)...).Scan(&n)
	return n, err
}
