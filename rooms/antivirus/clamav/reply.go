package clamav

import (
	"strconv"
	"strings"
	"time"
)

// Kind is what an engine says of bytes. The zero Kind is Unscanned: what was not
// looked through to its end is never clean.
type Kind int

// The three kinds.
const (
	Unscanned Kind = iota // not looked through, or not all of it
	Clean                 // looked through to the end, with the signatures that there are
	Found                 // something harmful is in it
)

// Answer is what the engine says of one stream.
type Answer struct {
	Kind Kind
	Name string // Found: as the engine calls it, letters digits . _ - only
	Why  string // Unscanned: one of the words below
}

// Why something was not looked through. They are facts' fixed words.
const (
	TooLarge    = "too-large"     // larger than the engine takes
	TooDeep     = "too-deep"      // archives in archives, or more files than are opened
	Encrypted   = "encrypted"     // a password is on it
	Macros      = "macros"        // a document with a program in it
	TooLong     = "too-long"      // it took longer than is given to one file
	Broken      = "broken"        // the engine cannot read it
	NoMemory    = "no-memory"     // the engine ran out of memory
	Down        = "scanner-down"  // the engine is not there, hangs or died meanwhile
	Missing     = "no-scanner"    // no engine is installed
	NoRules     = "no-signatures" // only Quietroom's own test signature is loaded
	OldRules    = "old-signatures"
	PartOf      = "part-of-archive" // one volume of several
	Interrupted = "interrupted"     // the stream broke off
)

// ParseReply reads clamd's answer to INSTREAM (clamd(8)): one line that ends with
// a zero byte. Whatever is not plainly "OK" for this stream is not clean.
func ParseReply(line string) Answer {
	line = strings.TrimRight(line, "\x00\n")
	said, ours := strings.CutPrefix(line, "stream: ")
	switch {
	case strings.Contains(line, "size limit exceeded"):
		return Answer{Why: TooLarge}
	case ours && said == "OK":
		return Answer{Kind: Clean}
	case ours && strings.HasSuffix(said, " FOUND"):
		return named(strings.TrimSuffix(said, " FOUND"))
	case strings.Contains(line, "allocate memory") || strings.Contains(line, "CL_EMEM"):
		return Answer{Why: NoMemory}
	case strings.Contains(line, "ime limit"):
		return Answer{Why: TooLong}
	case ours && strings.HasSuffix(said, " ERROR"):
		return Answer{Why: Broken}
	}
	return Answer{Why: Down}
}

// limits are the engine's heuristics that say that it did not look everywhere.
var limits = []struct{ prefix, why string }{
	{"Heuristics.Encrypted", Encrypted},
	{"Heuristics.Limits.Exceeded.MaxFileSize", TooLarge},
	{"Heuristics.Limits.Exceeded.MaxScanSize", TooLarge},
	{"Heuristics.Limits.Exceeded.MaxScanTime", TooLong},
	{"Heuristics.Limits.Exceeded", TooDeep},
	{"Heuristics.OLE2.ContainsMacros", Macros},
	{"Heuristics.Broken", Broken},
}

func named(name string) Answer {
	for _, l := range limits {
		if strings.HasPrefix(name, l.prefix) {
			return Answer{Why: l.why}
		}
	}
	return Answer{Kind: Found, Name: safeName(name)}
}

// mostName bounds the name of a finding.
const mostName = 100

// safeName keeps of a signature's name what can stand on a page and in a fact.
func safeName(name string) string {
	name = strings.TrimSuffix(name, ".UNOFFICIAL") // a signature that is ours
	var b strings.Builder
	for _, c := range []byte(name) {
		switch {
		case b.Len() == mostName:
		case 'a' <= c && c <= 'z' || 'A' <= c && c <= 'Z' || '0' <= c && c <= '9' || strings.IndexByte("._-", c) >= 0:
			b.WriteByte(c)
		default:
			b.WriteByte('_')
		}
	}
	if b.Len() == 0 {
		return "Unnamed"
	}
	return b.String()
}

// Version is what clamd says of itself.
type Version struct {
	Engine string    // "1.4.6"
	Number int       // of the daily signatures; 0 without official ones
	Built  time.Time // of the daily signatures; zero without official ones
}

// ParseVersion reads the answer to VERSION: "ClamAV 1.4.6/27000/Wed Jun 23
// 01:34:05 2021". Without signed signatures it ends after the engine's own.
func ParseVersion(line string) (v Version, ok bool) {
	rest, ok := strings.CutPrefix(strings.TrimRight(line, "\x00\n"), "ClamAV ")
	parts := strings.SplitN(rest, "/", 3)
	if !ok || parts[0] == "" || len(parts[0]) > 40 || len(parts) == 2 {
		return Version{}, false
	}
	v.Engine = safeName(parts[0])
	if len(parts) == 1 {
		return v, true
	}
	n, err := strconv.Atoi(parts[1])
	built, bad := time.ParseInLocation(time.ANSIC, parts[2], time.Local) // clamd prints its own zone
	if err != nil || bad != nil || n < 0 {
		return Version{}, false
	}
	v.Number, v.Built = n, built.UTC()
	return v, true
}

// Outcome of an update, a fixed word.
type Outcome string

// How an update ended.
const (
	Updated   Outcome = "updated"
	Same      Outcome = "up-to-date"
	Forged    Outcome = "bad-signature" // unsigned, or changed on the way: refused, what was here stays
	Limited   Outcome = "rate-limited"
	Unreached Outcome = "unreached"
	FullDisk  Outcome = "disk-full"
	Memory    Outcome = "no-memory"
	Refused   Outcome = "not-loaded" // fetched and signed, and the engine does not load it
	NoProgram Outcome = "no-freshclam"
	Unclear   Outcome = "failed"
)

// ParseUpdate reads what freshclam printed. Its exit codes are not those of its
// manual (1.4.6: 7 and 11), so that text and a code other than 0 both count.
func ParseUpdate(out string, code int) Outcome {
	has := func(any ...string) bool {
		for _, s := range any {
			if strings.Contains(out, s) {
				return true
			}
		}
		return false
	}
	switch {
	case has("allocate memory", "Out of memory", "out of memory", "CL_EMEM"):
		return Memory
	case has("No space left"):
		return FullDisk
	case has("verify database integrity", "nvalid or corrupted CVD", "igital signature", "Invalid CVD", "Malformed database", "CL_EVERIFY"):
		return Forged
	case has("cool-down", "429", "rate limit", "Rate limit", "403"):
		return Limited
	case has("resolve host", "Can't query", "onnection refused", "timed out", "Timeout", "couldn't connect", "Couldn't connect", "Can't download", "Download failed", "No database mirror", "HTTP 404", "404", "not found on remote server", "Update failed"):
		if code != 0 {
			return Unreached
		}
	}
	switch {
	case code < 0: // killed: by the kernel, for want of memory, or by a deadline
		return Memory
	case code != 0:
		return Unclear
	case has(" updated (version"):
		return Updated
	case has("up-to-date", "up to date"):
		return Same
	}
	return Unclear
}
