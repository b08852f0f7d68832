package logs

import (
	"bytes"
	"encoding/csv"
	"errors"
	"io"
	"strconv"
	"strings"
	"unicode"
)

// columns are the headings that are read, in small letters, by what they hold.
var columns = map[string]string{
	"request id": "id", "date (utc)": "time", "date": "time", "username": "user", "user principal name": "user", "actor": "user", "user": "name", "email": "user",
	"home tenant id": "home", "resource tenant id": "resource", "client app": "client", "authentication requirement": "requirement", "status": "status",
	"sign-in error code": "code", "failure reason": "reason", "multifactor authentication result": "result", "multifactor authentication auth method": "method",
	"location": "location", "event": "event", "event name": "event", "challenge type": "challenge", "challenge status": "challenge status", "login type": "kind", "is second factor": "second", "region code": "region",
	"ip address region code": "region", "additional details": "details", "latitude": "lat", "longitude": "lon", "is interactive": "interactive",
}

// beside are headings that are known, and of no use here.
var beside = map[string]bool{}

func init() {
	for _, name := range strings.Split("user agent|correlation id|user id|user type|cross tenant access type|incoming token type|authentication protocol|unique token identifier|original transfer method|client credential type|application|application id|app owner tenant id|resource|resource id|resource owner tenant id|home tenant name|ip address|device id|browser|operating system|compliant|managed|join type|multifactor authentication auth detail|sign-in identifier|session id|ip address (seen by resource)|through global secure access|global secure access ip address|autonomous system number|autonomous system  number|flagged for review|token issuer type|token issuer name|latency|conditional access|managed identity type|associated resource id|federated token id|federated token issuer|token protection - sign in session|token protection - sign in session statuscode|description|is suspicious|domain|ip asn|subdivision code|login time|affected user|actor organizational unit|actor group name|email forwarding address|device id (login)", "|") {
		beside[name] = true
	}
}

// csv reads a table: its headings say what it is.
func (r *Reader) csv(yield func(Event, error) bool) {
	head, comma, err := r.headings()
	if err != nil {
		yield(Event{}, err)
		return
	}
	at := map[string]int{}
	for i, name := range head {
		name = strings.ToLower(strings.Join(strings.Fields(name), " "))
		what, known := columns[name]
		switch _, twice := at[what]; {
		case known && !twice:
			at[what] = i
		case !known && !beside[name] && name != "" && len(r.unknown) < mostUnknown:
			r.unknown[named(name)] = true
		}
	}
	if _, ok := at["user"]; !ok { // Google's older files call the address "User"
		if i, ok := at["name"]; ok {
			at["user"] = i
		}
	}
	_, hasEvent := at["event"]
	_, hasCode := at["code"]
	_, hasStatus := at["status"]
	_, hasTime := at["time"]
	_, hasUser := at["user"]
	if !hasTime || !hasUser || !(hasEvent || hasCode || hasStatus) {
		yield(Event{}, ErrNotALog)
		return
	}
	for {
		row, line, err := r.row(comma)
		if err == io.EOF {
			return
		}
		if err == nil && len(row) == 0 {
			continue
		}
		var e Event
		if err == nil {
			get := func(what string) string {
				if i, ok := at[what]; ok && i < len(row) {
					return strings.TrimSpace(row[i])
				}
				return ""
			}
			why := ""
			if hasEvent && !hasCode {
				e, why = fromGoogleRow(get)
			} else {
				e, why = fromEntraRow(get)
			}
			if why != "" {
				err = &Bad{line, why}
			}
		}
		if !yield(e, err) {
			return
		}
		if _, ok := errors.AsType[*Bad](err); err != nil && !ok {
			return
		}
	}
}

// named is a heading as it may be shown: short, on one line.
func named(name string) string {
	name = strings.Map(func(c rune) rune {
		if unicode.IsPrint(c) {
			return c
		}
		return -1
	}, strings.ToValidUTF8(name, ""))
	if runes := []rune(name); len(runes) > longestName {
		name = string(runes[:longestName]) + "…"
	}
	return name
}

// headings reads the first row, and what stands between its fields.
func (r *Reader) headings() (head []string, comma rune, err error) {
	line, err := r.nextLine()
	if _, long := errors.AsType[*Bad](err); long || err == io.EOF {
		return nil, 0, ErrNotALog
	}
	if err != nil {
		return nil, 0, err
	}
	comma = ','
	for _, c := range []rune{';', '\t'} {
		if bytes.Count(line, []byte(string(c))) > bytes.Count(line, []byte(string(comma))) {
			comma = c
		}
	}
	head, err = fields(line, comma)
	if err != nil || len(head) > 500 {
		return nil, 0, ErrNotALog
	}
	return head, comma, nil
}

func fields(row []byte, comma rune) ([]string, error) {
	c := csv.NewReader(bytes.NewReader(row))
	c.Comma, c.FieldsPerRecord = comma, -1
	return c.Read()
}

// row reads one row, which may go over some lines where a field is quoted. A
// quotation that does not end costs its own line only.
func (r *Reader) row(comma rune) (row []string, line int, err error) {
	text, err := r.nextLine()
	line = r.line
	if err != nil {
		return nil, line, err
	}
	if len(bytes.TrimSpace(text)) == 0 {
		return nil, line, nil
	}
	whole, after := text, [][]byte(nil)
	for bytes.Count(whole, []byte{'"'})%2 == 1 {
		if len(after) == mostLines || len(whole) > mostRecord {
			break
		}
		more, err := r.nextLine()
		if err != nil {
			if _, long := errors.AsType[*Bad](err); err != io.EOF && !long {
				return nil, line, err
			}
			r.line--
			break
		}
		after = append(after, more)
		whole = append(append(append([]byte(nil), whole...), '\n'), more...)
	}
	if bytes.Count(whole, []byte{'"'})%2 == 0 {
		if row, err = fields(whole, comma); err == nil {
			return row, line, nil
		}
	}
	r.pushed = append(after, r.pushed...) // they are rows of their own
	r.line -= len(after)
	return nil, line, &Bad{line, "its quotation marks do not fit"}
}

func fromEntraRow(get func(string) string) (e Event, why string) {
	e = Event{Kind: Entra, ID: get("id"), Mailbox: mailbox(get("user"))}
	if e.At, why = moment(get("time")); why != "" {
		return e, why
	}
	if e.Mailbox == "" {
		return e, "it names no user"
	}
	e.tenants(get("home"), get("resource"))
	code, err := strconv.Atoi(get("code"))
	e.In = strings.EqualFold(get("status"), "success") || get("status") == "" && err == nil && code == 0
	requirement := strings.ToLower(strings.ReplaceAll(get("requirement"), "-", ""))
	strong := strings.HasPrefix(strings.ReplaceAll(requirement, " ", ""), "multifactor")
	e.Quiet = strings.EqualFold(get("interactive"), "false")
	e.outcome(code, get("result")+" "+get("reason")+" "+get("details"), get("method"), get("client"), strong || resists(get("method")), requirement != "")
	where := strings.Split(get("location"), ",")
	e.Country = country(where[len(where)-1])
	lat, err1 := strconv.ParseFloat(get("lat"), 64)
	lon, err2 := strconv.ParseFloat(get("lon"), 64)
	e.place(lat, lon, err1 == nil && err2 == nil && lat == lat && lon == lon)
	return e, ""
}

func fromGoogleRow(get func(string) string) (e Event, why string) {
	e = Event{Kind: Google, Mailbox: mailbox(get("user")), Country: country(get("region"))}
	if e.At, why = moment(get("time")); why != "" {
		return e, why
	}
	if e.Mailbox == "" {
		return e, "it names no user"
	}
	status := get("challenge status")
	if status == "" && strings.Contains(strings.ToLower(get("event")), "fail") {
		status = "failed"
	}
	kind := strings.ToLower(get("kind"))
	if strings.Contains(kind, "saml") {
		kind = "saml"
	}
	e.workspace(get("event"), kind, strings.ReplaceAll(strings.ToLower(get("challenge")), "google prompt", "google_prompt"), status, get("second"))
	return e, ""
}
