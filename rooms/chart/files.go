package chart

import (
	"bufio"
	"context"
	"errors"
	"io"
	"mime"
	"mime/multipart"
	"net/http"
	"path"
	"strconv"
	"strings"
	"unicode"

	"github.com/gabriel-vasile/mimetype"

	"quietroom/ground/id"
	"quietroom/ground/web"
	"quietroom/layer"
)

// sniffed is how many first bytes tell what a file is.
const sniffed = 3072

// maxName bounds a file's name, in characters.
const maxName = 200

// upload adds files to a chart. Each is sealed while it arrives; nothing plain
// lies anywhere, and a torn upload leaves nothing.
func (c *Chart) upload(w http.ResponseWriter, r *http.Request) error {
	p, err := patientOf(r)
	if err != nil {
		return err
	}
	parts, err := web.Parts(r)
	if err != nil {
		return err
	}
	b, err := c.Vault.Begin(r.Context())
	if err != nil {
		return err
	}
	defer b.Drop()
	chart, err := b.In(r.Context(), p, layer.PartChart)
	if err != nil {
		return err
	}
	n, taken := 0, false
	var said []scanned
	for {
		part, err := parts.NextPart()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			return err
		}
		if part.FormName() == "unscanned" {
			yes, err := io.ReadAll(io.LimitReader(part, 8))
			if err != nil {
				return err
			}
			taken = string(yes) == "yes"
			continue
		}
		if part.FormName() != "file" || part.FileName() == "" {
			continue
		}
		one, err := c.addFile(r.Context(), b, chart, part, taken)
		if err != nil {
			return err
		}
		said = append(said, one)
		n++
	}
	if n == 0 {
		return &web.Error{Status: http.StatusUnprocessableEntity, Text: "No file was chosen, so nothing was added.", Fix: "Choose a file on the chart, then press Seal and add.", Back: pageOf(p)}
	}
	if err := b.Commit(r.Context()); err != nil {
		return err
	}
	if err := refusal(p, said); err != nil {
		return err
	}
	return web.SeeOther(w, r, pageOf(p))
}

func (c *Chart) addFile(ctx context.Context, b layer.Batch, chart layer.Compartment, part *multipart.Part, taken bool) (scanned, error) {
	body := bufio.NewReaderSize(part, sniffed)
	first, err := body.Peek(sniffed)
	if err != nil && !errors.Is(err, io.EOF) {
		return scanned{}, err
	}
	h := head{Kind: fileKind, Title: fileName(part.FileName()), Type: mimetype.Detect(first).String(), By: id.From(ctx).Person}
	if c.Scanner == nil {
		_, err = b.PutStream(ctx, chart, layer.Draft{At: c.Now(), Head: h.bytes()}, body)
		return scanned{Name: h.Title}, err
	}
	return c.putScanned(ctx, b, chart, h, taken, body)
}

// fileName makes of what a browser sent a name that can be shown and kept: its
// last part, on one line, without what steers a terminal or turns text around.
func fileName(sent string) string {
	sent = strings.ToValidUTF8(sent, "")
	sent = path.Base(strings.ReplaceAll(sent, `\`, "/")) // Windows sends its own
	var b strings.Builder
	n := 0
	for _, r := range sent {
		if unicode.IsControl(r) || unicode.In(r, unicode.Cf, unicode.Zl, unicode.Zp, unicode.Co) || r == '/' {
			continue
		}
		if n++; n > maxName {
			break
		}
		b.WriteRune(r)
	}
	name := strings.TrimSpace(b.String())
	if strings.Trim(name, ". ") == "" {
		return "file"
	}
	return name
}

// download sends a file as it came. Whatever it says it is, the browser only
// saves it.
func (c *Chart) download(w http.ResponseWriter, r *http.Request) error {
	p, err := patientOf(r)
	if err != nil {
		return err
	}
	rec, err := recordOf(r)
	if err != nil {
		return err
	}
	chart, err := c.Vault.Open(r.Context(), p, layer.PartChart)
	if err != nil {
		return err
	}
	defer chart.Close()
	e, body, err := chart.Stream(r.Context(), rec)
	if err != nil {
		return err
	}
	defer body.Close()
	h, ours := readHead(e.Head)
	if !ours || h.Kind != fileKind {
		return errNotHere
	}
	if held, err := c.held(r.Context(), h); held || err != nil {
		if err != nil {
			return err
		}
		return errHeld(h)
	}
	head := w.Header()
	head.Set("Content-Type", typeOf(h.Type))
	head.Set("Content-Disposition", disposition(h.Title))
	head.Set("Content-Length", strconv.FormatInt(e.Size, 10))
	head.Set("Content-Security-Policy", "sandbox; default-src 'none'")
	_, err = io.Copy(web.Stream(w), body)
	return err
}

// typeOf is the type a download declares: what would be shown or run as a page
// is declared as plain bytes.
func typeOf(kind string) string {
	media, _, err := mime.ParseMediaType(kind)
	if err != nil || strings.HasPrefix(media, "text/") || strings.Contains(media, "xml") || strings.Contains(media, "html") || strings.Contains(media, "script") {
		return "application/octet-stream"
	}
	return media
}

// disposition tells the browser to save a file under its name (RFC 6266).
func disposition(name string) string {
	if d := mime.FormatMediaType("attachment", map[string]string{"filename": name}); d != "" {
		return d
	}
	return "attachment"
}
