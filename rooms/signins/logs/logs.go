// Package logs reads sign-in logs of Microsoft Entra and Google Workspace, as
// their consoles and interfaces export them, one event at a time and in bounded
// memory: a file may be of any size, in any order, and broken in places.
//
// It reads these fields, and tolerates all others:
//
//   - Microsoft Entra, JSON (an array, one object a line, {"value": [...]}, or
//     Azure Monitor's {"properties": {...}}): id, createdDateTime,
//     userPrincipalName, homeTenantId, resourceTenantId, isInteractive,
//     clientAppUsed, authenticationRequirement, status.errorCode and
//     additionalDetails, authenticationDetails[].authenticationMethod, succeeded
//     and authenticationStepResultDetail, mfaDetail.authMethod,
//     location.countryOrRegion and geoCoordinates.
//   - Microsoft Entra, CSV: Request ID, Date (UTC), Username, Home tenant ID,
//     Resource tenant ID, Client app, Authentication requirement, Status, Sign-in
//     error code, Failure reason, Multifactor authentication result and auth
//     method, Location.
//   - Google Workspace, JSON ({"items": [...]}, an array, or one activity a
//     line): id.time, id.uniqueQualifier, id.customerId, actor.email,
//     networkInfo.regionCode, events[].name, and of its parameters login_type,
//     login_challenge_method, login_challenge_status, is_second_factor.
//   - Google Workspace, CSV: Date, Event, Actor (or User, Email), Challenge type,
//     Login type, Is second factor, Region code.
package logs

import (
	"bufio"
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"iter"
	"math"
	"slices"
	"strings"
	"time"
)

// Kind is whose log it is.
type Kind string

// The two kinds.
const (
	Entra  Kind = "entra"
	Google Kind = "google"
)

// Event is what one sign-in, or one try, tells. Its words come from fixed lists,
// except for the mailbox, the tenants and the id.
type Event struct {
	Kind     Kind
	ID       string // the provider's own number of it; empty in some files
	At       time.Time
	Mailbox  string   // mail address, in small letters
	Tenants  []string // whose organisation, by the provider's numbers; none in some files
	Guest    bool     // somebody of another organisation
	In       bool     // somebody came in
	Quiet    bool     // a program did, with what a person had done before
	Denied   bool     // a prompt on somebody's phone was refused, or not answered
	Legacy   string   // an old protocol that knows no second factor: "imap"; empty otherwise
	Factors  Factors
	Country  string  // two letters; empty if unknown
	Lat, Lon float64 // if Placed
	Placed   bool
}

// Factors says whether a second factor was seen when somebody came in.
type Factors int

// What is known of it.
const (
	Unsaid Factors = iota // the log does not say
	One                   // a password, and nothing else
	Two                   // a second factor, or a key that no false page can win
)

// Bad is a place that could not be read. The rest goes on.
type Bad struct {
	Line int    // counted from 1
	Why  string // fixed words, nothing of the content
}

func (b *Bad) Error() string { return fmt.Sprintf("line %d: %s", b.Line, b.Why) }

// ErrNotALog means that nothing in the file looks like a sign-in log.
var ErrNotALog = errors.New("logs: this is no sign-in log that is known here")

const (
	mostRecord = 1 << 20 // bytes of one event
	mostLines  = 40      // lines of one CSV row
)

// Reader reads one file. Make it with New.
type Reader struct {
	in      *bufio.Reader
	line    int
	pushed  [][]byte // lines that are read again
	unknown map[string]bool
}

// New makes a Reader.
func New(r io.Reader) *Reader {
	return &Reader{in: bufio.NewReaderSize(r, 1<<16), unknown: map[string]bool{}}
}

const (
	mostUnknown = 50
	longestName = 60
)

// Unknown names the columns that were not understood, of a CSV file.
func (r *Reader) Unknown() []string {
	var names []string
	for n := range r.unknown {
		names = append(names, n)
	}
	slices.Sort(names)
	return names
}

// Line is how far it has read.
func (r *Reader) Line() int { return r.line }

// Events yields what the file tells. An error of type *Bad is followed by more;
// any other one is the last: ErrNotALog, or what reading gave.
func (r *Reader) Events() iter.Seq2[Event, error] {
	return func(yield func(Event, error) bool) {
		if bom, err := r.in.Peek(3); err == nil && bytes.Equal(bom, []byte("\xef\xbb\xbf")) {
			r.in.Discard(3)
		}
		start, err := r.first()
		if err == io.EOF {
			yield(Event{}, ErrNotALog)
			return
		}
		if err != nil {
			yield(Event{}, err)
			return
		}
		if start == '{' || start == '[' {
			r.json(yield)
		} else {
			r.csv(yield)
		}
	}
}

// first returns the first character that is no space, and leaves it there.
func (r *Reader) first() (byte, error) {
	for range mostRecord {
		b, err := r.in.ReadByte()
		if err != nil {
			return 0, err
		}
		switch b {
		case '\n':
			r.line++
		case ' ', '\t', '\r':
		default:
			return b, r.in.UnreadByte()
		}
	}
	return 0, ErrNotALog
}

// nextLine returns a line without its end. One that is too long is skipped, and
// told as *Bad.
func (r *Reader) nextLine() ([]byte, error) {
	r.line++
	if len(r.pushed) > 0 {
		line := r.pushed[0]
		r.pushed = r.pushed[1:]
		return line, nil
	}
	var line []byte
	long := false
	for {
		part, err := r.in.ReadSlice('\n')
		if long = long || len(line)+len(part) > mostRecord; !long {
			line = append(line, part...)
		}
		if errors.Is(err, bufio.ErrBufferFull) {
			continue
		}
		if err == io.EOF && (len(line) > 0 || long) {
			err = nil
		}
		if err == nil && long {
			err = &Bad{r.line, "it is longer than a sign-in can be"}
		}
		return bytes.TrimRight(line, "\r\n"), err
	}
}

// json reads objects, wherever they stand: one a line, in an array, or in the
// array of a wrapper.
func (r *Reader) json(yield func(Event, error) bool) {
	s := &splitter{r: r}
	found, strange := 0, 0
	for {
		object, line, err := s.next()
		if err == io.EOF {
			break
		}
		if bad, ok := errors.AsType[*Bad](err); ok {
			if strange++; !yield(Event{}, bad) {
				return
			}
			continue
		}
		if err != nil {
			yield(Event{}, err)
			return
		}
		events, why := fromJSON(object)
		switch {
		case why != "":
			strange++
			if found == 0 && strange > 1000 {
				yield(Event{}, ErrNotALog)
				return
			}
			if !yield(Event{}, &Bad{line, why}) {
				return
			}
		default:
			found++
			for _, e := range events {
				if !yield(e, nil) {
					return
				}
			}
		}
	}
	if found == 0 {
		yield(Event{}, ErrNotALog)
	}
}

// splitter cuts a JSON text into the objects that hold one event each. It keeps
// one object, and finds its feet again where a line begins with one.
type splitter struct {
	r       *Reader
	buf     []byte
	depth   int  // of brackets that are open
	at      int  // depth at which events begin; 0: not known yet
	begun   bool // an event is being read
	line    int  // where it began
	indent  int  // how far its line is indented; -1: it does not begin its line
	space   int  // how far this line is indented; -1: it has begun
	quoted  bool
	escaped bool
	wrapped bool // the outermost object is a wrapper, with an array of events
	lost    bool // skipping to a line that begins with an object
}

func (s *splitter) next() (object []byte, line int, err error) {
	for {
		b, err := s.r.in.ReadByte()
		if err != nil {
			if err == io.EOF && s.begun {
				s.begun = false
				return nil, 0, &Bad{s.line + 1, "the file ends in the middle of it"}
			}
			return nil, 0, err
		}
		space := s.space
		switch {
		case b == '\n':
			s.r.line++
			s.space = 0
		case b != ' ' && b != '\t' && b != '\r':
			s.space = -1
		case s.space >= 0:
			s.space++
		}
		if s.lost {
			if s.found(b) {
				continue
			}
		}
		if s.quoted {
			s.keep(b)
			switch {
			case s.escaped:
				s.escaped = false
			case b == '\\':
				s.escaped = true
			case b == '"':
				s.quoted = false
			case b == '\n': // no string goes over the end of a line
				return nil, 0, s.stumble("it is cut off in the middle of a text")
			}
			if s.begun && len(s.buf) > mostRecord {
				return nil, 0, s.stumble("it is longer than a sign-in can be")
			}
			continue
		}
		switch b {
		case '"':
			s.quoted = true
			s.keep(b)
		case '{', '[':
			if s.begun && b == '{' && space >= 0 && space == s.indent && s.r.line > s.line {
				// It stands where the next event would: this one was never closed.
				s.r.in.UnreadByte()
				s.begun, s.depth, s.space = false, s.at-1, space
				return nil, 0, &Bad{s.line + 1, "it is cut off before its end"}
			}
			s.depth++
			if !s.begun && b == '{' && s.begins() {
				s.begun, s.line, s.indent, s.buf = true, s.r.line, space, s.buf[:0]
				s.at = s.depth
			}
			s.keep(b)
		case '}', ']':
			s.keep(b)
			s.depth--
			if s.depth < 0 {
				s.depth = 0
			}
			if s.begun && s.depth < s.at {
				s.begun = false
				return s.buf, s.line + 1, nil
			}
		default:
			s.keep(b)
		}
		if s.begun && (len(s.buf) > mostRecord || s.depth > 100) {
			return nil, 0, s.stumble("it is longer than a sign-in can be")
		}
	}
}

func (s *splitter) keep(b byte) {
	if s.begun {
		s.buf = append(s.buf, b)
	}
}

// begins decides whether the object that opens here is an event: the outermost
// one, unless it wraps an array of them; then each of that array.
func (s *splitter) begins() bool {
	if s.depth == 1 {
		s.wrapped = s.wraps()
		return !s.wrapped
	}
	return s.depth == 2 && !s.wrapped || s.depth == 3 && s.wrapped
}

// wraps looks ahead whether the object that was just opened has an array named
// "value" or "items" before any object.
func (s *splitter) wraps() bool {
	ahead, _ := s.r.in.Peek(4096)
	if end := bytes.IndexByte(ahead, '{'); end >= 0 {
		ahead = ahead[:end]
	}
	for _, name := range []string{`"value"`, `"items"`, `"Records"`, `"records"`} {
		if _, rest, ok := bytes.Cut(ahead, []byte(name)); ok {
			rest = bytes.TrimLeft(rest, " \t\r\n")
			if rest, ok = bytes.CutPrefix(rest, []byte(":")); ok && bytes.HasPrefix(bytes.TrimLeft(rest, " \t\r\n"), []byte("[")) {
				return true
			}
		}
	}
	return false
}

// stumble gives an event up and looks for the next line that begins with one.
func (s *splitter) stumble(why string) *Bad {
	line := s.line + 1
	s.begun, s.quoted, s.escaped, s.lost, s.buf = false, false, false, true, s.buf[:0]
	return &Bad{line, why}
}

// found tells whether b is still between what was lost and the next event.
func (s *splitter) found(b byte) (skip bool) {
	if b != '\n' && !bytes.ContainsRune([]byte(" \t\r,"), rune(b)) && len(s.buf) == 0 {
		if b == '{' {
			s.lost, s.depth = false, max(s.at, 1)-1
			return false
		}
		s.buf = append(s.buf, 'x') // something else stands on this line
	}
	if b == '\n' {
		s.buf = s.buf[:0]
	}
	return true
}

// flat is a JSON object whose names are compared in small letters.
type flat map[string]json.RawMessage

func (f flat) text(name string) string {
	var s string
	json.Unmarshal(f[name], &s)
	return s
}

func (f flat) object(name string) flat {
	var o map[string]json.RawMessage
	json.Unmarshal(f[name], &o)
	return lower(o)
}

func (f flat) list(name string) (all []flat) {
	var list []map[string]json.RawMessage
	json.Unmarshal(f[name], &list)
	for _, o := range list {
		all = append(all, lower(o))
	}
	return all
}

func (f flat) number(name string) (n float64, ok bool) {
	err := json.Unmarshal(f[name], &n)
	return n, err == nil && len(f[name]) > 0 && string(f[name]) != "null" && !math.IsNaN(n) && !math.IsInf(n, 0)
}

func lower(o map[string]json.RawMessage) flat {
	f := flat{}
	for name, v := range o {
		f[strings.ToLower(name)] = v
	}
	return f
}

// fromJSON reads one object; why says in fixed words what it is not.
func fromJSON(object []byte) (events []Event, why string) {
	var o map[string]json.RawMessage
	if err := json.Unmarshal(object, &o); err != nil {
		return nil, "it is no JSON object"
	}
	f := lower(o)
	if inner := f.object("properties"); inner["createddatetime"] != nil || inner["userprincipalname"] != nil {
		f = inner
	}
	switch {
	case f["createddatetime"] != nil && f["userprincipalname"] != nil:
		e, why := entra(f)
		return []Event{e}, why
	case f["actor"] != nil && f["events"] != nil:
		return google(f)
	}
	return nil, "it has not the fields of a sign-in"
}

func entra(f flat) (e Event, why string) {
	e = Event{Kind: Entra, ID: f.text("id"), Mailbox: mailbox(f.text("userprincipalname"))}
	if e.At, why = moment(f.text("createddatetime")); why != "" {
		return e, why
	}
	if e.Mailbox == "" {
		return e, "it names no user"
	}
	e.tenants(f.text("hometenantid"), f.text("resourcetenantid"))
	status := f.object("status")
	code, _ := status.number("errorcode")
	e.In = status["errorcode"] != nil && code == 0
	said := status.text("additionaldetails") + " " + status.text("failurereason")
	strong := f.text("authenticationrequirement") == "multiFactorAuthentication"
	method := f.object("mfadetail").text("authmethod")
	for _, step := range f.list("authenticationdetails") {
		said += " " + step.text("authenticationstepresultdetail")
		if m := step.text("authenticationmethod"); m != "" && !isPassword(m) {
			method += " " + m
			var succeeded bool
			json.Unmarshal(step["succeeded"], &succeeded)
			strong = strong || succeeded && resists(m)
		}
	}
	var interactive bool
	quiet := json.Unmarshal(f["isinteractive"], &interactive) == nil && f["isinteractive"] != nil && !interactive
	e.Quiet = quiet
	e.outcome(int(code), said, method, f.text("clientappused"), strong, f.text("authenticationrequirement") != "")
	where := f.object("location")
	e.Country = country(where.text("countryorregion"))
	at := where.object("geocoordinates")
	lat, ok1 := at.number("latitude")
	lon, ok2 := at.number("longitude")
	e.place(lat, lon, ok1 && ok2)
	return e, ""
}

// outcome reads Entra's words and numbers.
func (e *Event) outcome(code int, said, method, client string, strong, stated bool) {
	const refusedPrompt = 500121 // "Authentication failed during strong authentication request"
	said, method = strings.ToLower(said), strings.ToLower(method)
	typed := strings.Contains(said, "code") && !strings.Contains(said, "fraud code") || strings.Contains(method, "oath") || strings.Contains(method, "sms") || strings.Contains(method, "text message")
	e.Denied = !e.In && !typed && (code == refusedPrompt || strings.Contains(said, "mfa denied"))
	e.Legacy = legacy(client)
	switch {
	case strong:
		e.Factors = Two
	case e.In && stated && !e.Quiet:
		e.Factors = One
	}
}

func (e *Event) tenants(home, resource string) {
	home, resource = strings.ToLower(strings.TrimSpace(home)), strings.ToLower(strings.TrimSpace(resource))
	for _, t := range []string{resource, home} {
		if t != "" && len(t) <= 64 && !slices.Contains(e.Tenants, t) {
			e.Tenants = append(e.Tenants, t)
		}
	}
	e.Guest = home != "" && resource != "" && home != resource
}

func (e *Event) place(lat, lon float64, ok bool) {
	if ok && math.Abs(lat) <= 90 && math.Abs(lon) <= 180 && (lat != 0 || lon != 0) {
		e.Lat, e.Lon, e.Placed = lat, lon, true
	}
}

func isPassword(method string) bool {
	m := strings.ToLower(method)
	return strings.HasPrefix(m, "password") || m == "previously satisfied"
}

// resists tells whether a method is a key that answers to its own site only.
func resists(method string) bool {
	m := strings.ToLower(method)
	for _, key := range []string{"fido", "passkey", "windows hello", "x.509", "certificate", "platform credential"} {
		if strings.Contains(m, key) {
			return true
		}
	}
	return false
}

// oldClients are the client apps that cannot be asked for a second factor, as
// Entra names them (Microsoft Learn, "Block legacy authentication").
var oldClients = map[string]string{
	"imap4": "imap", "imap": "imap", "pop3": "pop", "pop": "pop", "authenticated smtp": "smtp", "smtp": "smtp", "exchange activesync": "activesync",
	"autodiscover": "autodiscover", "exchange online powershell": "powershell", "exchange web services": "ews", "mapi over http": "mapi", "offline address book": "address-book",
	"outlook anywhere (rpc over http)": "rpc", "outlook anywhere": "rpc", "reporting web services": "reporting", "other clients": "other", "other clients; imap": "imap",
	"other clients; pop": "pop", "other clients; smtp": "smtp",
}

func legacy(client string) string { return oldClients[strings.ToLower(strings.TrimSpace(client))] }

func google(f flat) (events []Event, why string) {
	number := f.object("id")
	at, why := moment(number.text("time"))
	if why != "" {
		return nil, why
	}
	base := Event{Kind: Google, At: at, Mailbox: mailbox(f.object("actor").text("email")), Country: country(f.object("networkinfo").text("regioncode"))}
	if base.Mailbox == "" {
		return nil, "it names no user"
	}
	base.tenants(number.text("customerid"), "")
	for i, one := range f.list("events") {
		e := base
		if q := number.text("uniquequalifier"); q != "" {
			e.ID = fmt.Sprintf("%s %s %d", number.text("time"), q, i)
		}
		values := map[string]string{}
		for _, p := range one.list("parameters") {
			v := p.text("value")
			var flag bool
			if json.Unmarshal(p["boolvalue"], &flag) == nil && p["boolvalue"] != nil {
				v = fmt.Sprint(flag)
			}
			var many []string
			json.Unmarshal(p["multivalue"], &many)
			values[p.text("name")] = strings.Join(append(many, v), " ")
		}
		e.workspace(one.text("name"), values["login_type"], values["login_challenge_method"], values["login_challenge_status"], values["is_second_factor"])
		events = append(events, e)
	}
	return events, ""
}

// workspace reads Google's words.
func (e *Event) workspace(name, kind, methods, status, second string) {
	name, methods, status = strings.ToLower(name), strings.ToLower(methods), strings.ToLower(status)
	switch {
	case strings.Contains(name, "less_secure") || strings.Contains(name, "less secure"):
		e.Legacy = "other"
	case (strings.Contains(name, "challenge") || strings.Contains(name, "verification")) && (strings.Contains(status, "fail") || strings.Contains(status, "incorrect")):
		e.Denied = methods == "" || strings.Contains(methods, "prompt") || strings.Contains(methods, "phone call") || strings.Contains(methods, "idv_any_phone")
	case name == "login_success" || name == "successful login" || name == "login success":
		e.In = true
		words := strings.FieldsFunc(methods, func(r rune) bool { return r == ' ' || r == ',' || r == ';' })
		more := slices.ContainsFunc(words, func(w string) bool { return w != "password" && w != "none" && w != "google_password" })
		switch {
		case strings.EqualFold(strings.TrimSpace(second), "true") || more:
			e.Factors = Two
		case strings.EqualFold(kind, "saml") || strings.EqualFold(kind, "reauth"): // another house asked, or it was asked before
		case slices.Contains(words, "password") || strings.EqualFold(strings.TrimSpace(second), "false"):
			e.Factors = One
		}
	}
}

// mailbox is a mail address in small letters, or "".
func mailbox(s string) string {
	s = strings.ToLower(strings.TrimSpace(s))
	if len(s) > 254 || !strings.Contains(s, "@") || strings.ContainsFunc(s, func(r rune) bool { return r <= ' ' || r == 0x7f || r == 0xfffd }) {
		return ""
	}
	return s
}

func country(s string) string {
	s = strings.ToUpper(strings.TrimSpace(s))
	if len(s) != 2 || s[0] < 'A' || s[0] > 'Z' || s[1] < 'A' || s[1] > 'Z' {
		return ""
	}
	return s
}

var layouts = []string{
	time.RFC3339Nano, "2006-01-02T15:04:05.9999999", "2006-01-02 15:04:05", "2006-01-02 15:04:05 UTC", "2006-01-02 15:04:05 -0700", "1/2/2006, 3:04:05 PM", "1/2/2006 3:04:05 PM", "1/2/2006 15:04:05", "1/2/2006 15:04",
	"Jan 2, 2006, 3:04:05 PM", "Jan 2, 2006 3:04:05 PM", "2 Jan 2006, 15:04:05",
}

// zones are the names of time zones that Google's console writes.
var zones = map[string]int{"UTC": 0, "GMT": 0, "EST": -5, "EDT": -4, "CST": -6, "CDT": -5, "MST": -7, "MDT": -6, "PST": -8, "PDT": -7, "AKST": -9, "AKDT": -8, "HST": -10}

// moment reads a time; one without a zone is UTC.
func moment(s string) (time.Time, string) {
	s = strings.TrimSpace(strings.ReplaceAll(s, "\u202f", " "))
	zone := time.UTC
	if i := strings.LastIndexByte(s, ' '); i > 0 {
		if hours, ok := zones[s[i+1:]]; ok {
			s, zone = s[:i], time.FixedZone("", hours*3600)
		}
	}
	for _, l := range layouts {
		if t, err := time.ParseInLocation(l, s, zone); err == nil && t.Year() >= 2000 && t.Year() < 2200 {
			return t.UTC(), ""
		}
	}
	return time.Time{}, "its time cannot be read"
}
