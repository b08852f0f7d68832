package web

import (
	"encoding/json"
	"errors"
	"io"
	"mime/multipart"
	"net/http"
	"net/textproto"
	"strings"
	"time"
)

// formLimit is how much a request may bring, in bytes, unless its handler is Big.
const formLimit = 1 << 20

// strangerLimit is how much a request may bring without a live session, in
// bytes. The largest that the doors receive, a new passkey, measures 1.2 KB; the
// certificates that some passkeys add to it fit as well.
const strangerLimit = 32 << 10

// patience is how long a large upload or download may stand still.
const patience = time.Minute

// tokenLimit is more than the token's own length, and less than a file.
const tokenLimit = 256

// errTooLarge is what a person reads when a request brings too much.
var errTooLarge = &Error{
	Status: http.StatusRequestEntityTooLarge,
	Text:   "This is more than fits through this door, so nothing was kept.",
	Fix:    "Send it in smaller pieces.",
}

// body counts what a request brings, and keeps a Big one alive while it moves.
type body struct {
	io.ReadCloser
	limit int64
	left  int64
	alive func() // puts off the connection's deadlines; nil for a small body
	over  bool
}

func (b *body) Read(p []byte) (int, error) {
	if b.over {
		return 0, errTooLarge
	}
	if int64(len(p)) > b.left+1 {
		p = p[:b.left+1] // one more than allowed tells "exactly full" from "too much"
	}
	n, err := b.ReadCloser.Read(p)
	if int64(n) > b.left {
		n, b.over = int(b.left), true
		b.left = 0
		return n, errTooLarge
	}
	b.left -= int64(n)
	if b.alive != nil && n > 0 {
		b.alive()
	}
	return n, err
}

// Big lets a handler receive up to limit bytes as a stream, slowly if need be.
// A plain form, which is held in memory, stays at 1 MiB.
func Big(limit int64, h Handler) Handler {
	return func(w http.ResponseWriter, r *http.Request) error {
		if b, ok := r.Body.(*body); ok {
			b.left += limit - b.limit
			b.limit = limit
			b.alive = keepAlive(w)
			b.alive()
		}
		return h(w, r)
	}
}

// Stream returns a writer for a long download: it stays open as long as the
// other side keeps taking.
func Stream(w http.ResponseWriter) io.Writer { return &stream{w, keepAlive(w)} }

type stream struct {
	w     io.Writer
	alive func()
}

func (s *stream) Write(p []byte) (int, error) {
	s.alive()
	return s.w.Write(p)
}

// keepAlive returns a func that puts off the deadlines of w's connection.
func keepAlive(w http.ResponseWriter) func() {
	c := http.NewResponseController(w)
	var last time.Time
	return func() {
		now := time.Now()
		if now.Sub(last) < patience/4 {
			return
		}
		last = now
		// Not every connection has deadlines (a test's recorder has none).
		_ = c.SetReadDeadline(now.Add(patience))
		_ = c.SetWriteDeadline(now.Add(patience))
	}
}

// Parts returns the parts of an upload, positioned after its token, which has
// been checked. Nothing is spooled: a part is read as it arrives, and only once.
// A form with a file needs enctype="multipart/form-data", and its handler Big.
// NextPart returns io.EOF for a whole upload only; for a torn one it returns an
// error that, handed on, becomes a sentence.
func Parts(r *http.Request) (*multipart.Reader, error) {
	if p := visitOf(r).parts; p != nil {
		return p, nil
	}
	return nil, &Error{Status: http.StatusUnsupportedMediaType, Text: "This page expects a file, and none came.", Fix: "Choose a file and send it again."}
}

// openParts reads the first part of an upload, which web's own forms make the
// token. Taking the reader here also keeps everybody else from
// ParseMultipartForm, which would spool to disk.
func openParts(r *http.Request) (string, error) {
	b := r.Body.(*body) // guardForm's
	b.ReadCloser = struct {
		io.Reader
		io.Closer
	}{io.MultiReader(b.ReadCloser, &torn{"\r\n"}), b.ReadCloser}
	mr, err := r.MultipartReader()
	if err != nil {
		return "", unreadable(err)
	}
	first, err := mr.NextPart()
	if err != nil {
		return "", unreadable(err)
	}
	if first.FormName() != TokenField || first.FileName() != "" {
		return "", errStaleForm
	}
	token, err := io.ReadAll(io.LimitReader(first, tokenLimit))
	if err != nil {
		return "", unreadable(err)
	}
	visitOf(r).parts = mr
	return string(token), nil
}

// torn stands behind an upload. A whole one closes with its last boundary, and
// nobody reads on; whoever gets here was cut off. Without it mime/multipart
// reports some torn uploads as whole.
type torn struct{ newline string } // the line break that a last boundary may lack

func (t *torn) Read(p []byte) (int, error) {
	if t.newline == "" {
		return 0, io.ErrUnexpectedEOF
	}
	n := copy(p, t.newline)
	t.newline = t.newline[n:]
	return n, nil
}

// brokeOff tells whether an error is of an upload that was cut off or garbled.
// mime/multipart has no sentinel for it: it says so in three ways.
func brokeOff(r *http.Request, err error) bool {
	if visitOf(r).parts == nil {
		return false
	}
	_, garbled := errors.AsType[textproto.ProtocolError](err)
	return garbled || errors.Is(err, io.ErrUnexpectedEOF) || strings.Contains(err.Error(), "multipart: ")
}

// unreadable is for a request that could not be read. What it said stays out of
// the log: it is somebody's words.
func unreadable(err error) error {
	if e, ok := errors.AsType[*Error](err); ok {
		return e
	}
	return &Error{Status: http.StatusBadRequest, Text: "The form arrived torn, so nothing was changed.", Fix: "Send it again."}
}

// ReadJSON reads the body of a script's request into v, which must know every field.
func ReadJSON(r *http.Request, v any) error {
	d := json.NewDecoder(r.Body)
	d.DisallowUnknownFields()
	if err := d.Decode(v); err != nil {
		return unreadable(err)
	}
	return nil
}

// JSON answers a script.
func JSON(w http.ResponseWriter, status int, v any) error {
	b, err := json.Marshal(v)
	if err != nil {
		return err
	}
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	_, _ = w.Write(b) // the other side is gone: nobody is left to tell
	return nil
}
