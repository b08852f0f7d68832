package backup

import (
	"encoding/base32"
	"encoding/hex"
	"fmt"
	"net/url"
	"strings"

	"quietroom/ground/ledger"
	"quietroom/ground/seal"
)

var groups = base32.NewEncoding("abcdefghijklmnopqrstuvwxyz234567").WithPadding(base32.NoPadding)

// PasswordOf derives the backup's password from the house's secret: 160 bits, in
// eight groups of four letters.
func PasswordOf(secret seal.Key) string {
	k := secret.Derive("backup password v1")
	text := groups.EncodeToString(k[:20])
	var parts []string
	for i := 0; i < len(text); i += 4 {
		parts = append(parts, text[i:i+4])
	}
	return strings.Join(parts, "-")
}

// Sheet is the recovery sheet: what has to be on paper outside the house, beside
// the kit that opens what is sealed. It brings the sealed house back.
type Sheet struct {
	Practice string // opaque id
	Root     []byte // fingerprint of the first entry of the list of people
	Password string
	Targets  []Target
}

const sheetHead = "Quietroom recovery sheet, version 1"

// Text is the sheet as it is printed, and as `quietroom restore --kit` reads it.
func (s Sheet) Text() string {
	var b strings.Builder
	fmt.Fprintf(&b, "%s\nPractice: %s\nRoot key: %s\n", sheetHead, s.Practice, hex.EncodeToString(s.Root))
	if len(s.Root) == len(ledger.Hash{}) {
		words := ledger.Words(ledger.Hash(s.Root))
		fmt.Fprintf(&b, "Six words: %s\n", strings.Join(words[:], " "))
	}
	fmt.Fprintf(&b, "Backup password: %s\n", s.Password)
	for _, t := range s.Targets {
		fmt.Fprintf(&b, "Target: %s\n", t.line())
	}
	b.WriteString("Formats: docs/formats.md and docs/design/backup.md of Quietroom, format 1\n")
	return b.String()
}

// ParseSheet reads a sheet; what was typed off paper may have odd spaces and
// capital letters.
func ParseSheet(text string) (s Sheet, err error) {
	for line := range strings.Lines(text) {
		name, value, ok := strings.Cut(strings.TrimSpace(line), ":")
		value = strings.TrimSpace(value)
		switch strings.ToLower(name) {
		case "practice":
			s.Practice = value
		case "root key":
			if s.Root, err = hex.DecodeString(strings.ReplaceAll(value, " ", "")); err != nil {
				return s, fmt.Errorf("the sheet's root key cannot be read; it is 64 letters and digits")
			}
		case "backup password":
			s.Password = readPassword(value)
		case "target":
			t, err := parseTarget(value)
			if err != nil {
				return s, err
			}
			s.Targets = append(s.Targets, t)
		default:
			_ = ok // other lines are for people
		}
	}
	if s.Password == "" {
		return s, fmt.Errorf("this is no recovery sheet: it has no line \"Backup password:\"")
	}
	return s, nil
}

// readPassword takes the password as somebody typed it.
func readPassword(text string) string {
	text = strings.ToLower(text)
	bare := strings.Map(func(r rune) rune {
		switch {
		case r >= 'a' && r <= 'z', r >= '2' && r <= '7':
			return r
		case r == '0':
			return 'o'
		case r == '1':
			return 'l'
		}
		return -1
	}, text)
	if len(bare) != 32 {
		return strings.TrimSpace(text) // of a repository that somebody made by hand
	}
	var parts []string
	for i := 0; i < len(bare); i += 4 {
		parts = append(parts, bare[i:i+4])
	}
	return strings.Join(parts, "-")
}

// line is a target on one line of the sheet: an address, with credentials.
func (t Target) line() string {
	u := url.URL{Scheme: t.Kind, RawQuery: url.Values{"name": {t.Name}}.Encode()}
	if t.User != "" {
		u.User = url.User(t.User)
		if t.Secret != "" {
			u.User = url.UserPassword(t.User, t.Secret)
		}
	}
	if t.Kind == Folder {
		u.Path = t.Place
		return u.String()
	}
	scheme, rest, ok := strings.Cut(t.Place, "://")
	if !ok {
		scheme, rest = "", t.Place
	}
	q := u.Query()
	if scheme == "http" {
		q.Set("plain", "1")
	}
	if t.Region != "" {
		q.Set("region", t.Region)
	}
	u.RawQuery = q.Encode()
	u.Host, u.Path, _ = strings.Cut(rest, "/")
	u.Path = "/" + u.Path
	return u.String()
}

func parseTarget(line string) (Target, error) {
	u, err := url.Parse(strings.TrimSpace(line))
	if err != nil {
		return Target{}, fmt.Errorf("a target on the sheet cannot be read as an address")
	}
	t := Target{Kind: u.Scheme, Name: u.Query().Get("name"), Region: u.Query().Get("region"), Expires: true}
	t.ID = t.Name
	if u.User != nil {
		t.User = u.User.Username()
		t.Secret, _ = u.User.Password()
	}
	switch t.Kind {
	case Folder:
		t.Place = u.Path
	case SFTP:
		t.Place = u.Host + u.Path
	case S3, REST:
		scheme := "https"
		if u.Query().Get("plain") == "1" {
			scheme = "http"
		}
		t.Place = scheme + "://" + u.Host + u.Path
	default:
		return t, fmt.Errorf("a target on the sheet is of the kind %q; want folder, sftp, s3 or rest", t.Kind)
	}
	if t.Name == "" {
		t.Name, t.ID = t.Kind, t.Kind
	}
	return t, t.check()
}
