package chrome

import (
	"bufio"
	"crypto/sha1"
	"crypto/tls"
	"encoding/base64"
	"encoding/binary"
	"errors"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/url"
	"strings"
	"time"
)

// socket passes a WebSocket on and writes down what the page sends. Packing is
// not offered to the other side, so that frames are readable (RFC 7692).
func (p *Proxy) socket(w http.ResponseWriter, r *http.Request, e *Exchange, began time.Time) {
	up, err := p.dial(r)
	if err != nil {
		p.failed(w, e, began, err)
		return
	}
	defer up.Close()
	out := r.Clone(r.Context())
	out.Header.Del("Sec-WebSocket-Extensions")
	out.Header.Del("Proxy-Connection")
	from := bufio.NewReader(up)
	if err := out.Write(up); err != nil {
		p.failed(w, e, began, err)
		return
	}
	res, err := http.ReadResponse(from, out)
	if err != nil {
		p.failed(w, e, began, err)
		return
	}
	conn, buffered, err := http.NewResponseController(w).Hijack()
	if err != nil {
		p.failed(w, e, began, err)
		return
	}
	defer conn.Close()
	p.end(e, began, func() { e.Status, e.Answer = res.StatusCode, res.Header }) // an open socket is no unrest
	if err := res.Write(conn); err != nil || res.StatusCode != http.StatusSwitchingProtocols {
		return
	}
	go func() {
		_, _ = io.Copy(conn, io.LimitReader(from, answerMost))
		conn.Close()
	}()
	tap := &frames{proxy: p, exchange: e}
	_, _ = io.Copy(io.MultiWriter(tap, &gate{p, up}), buffered.Reader)
}

// gate lets through what a page sends, but after a form's button was pressed.
type gate struct {
	proxy *Proxy
	up    net.Conn
}

func (g *gate) Write(b []byte) (int, error) {
	g.proxy.mu.Lock()
	shut := g.proxy.mark.Stage == Pressed
	g.proxy.mu.Unlock()
	if shut {
		return len(b), nil
	}
	return g.up.Write(b)
}

// heldSocket opens a socket that leads nowhere (RFC 6455 section 4.2.2).
func (p *Proxy) heldSocket(w http.ResponseWriter, r *http.Request, e *Exchange) {
	conn, buffered, err := http.NewResponseController(w).Hijack()
	if err != nil {
		return
	}
	defer conn.Close()
	sum := sha1.Sum([]byte(r.Header.Get("Sec-WebSocket-Key") + "258EAFA5-E914-47DA-95CA-C5AB0DC85B11"))
	answer := "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Accept: " + base64.StdEncoding.EncodeToString(sum[:]) + "\r\n"
	if protocol, _, _ := strings.Cut(r.Header.Get("Sec-WebSocket-Protocol"), ","); protocol != "" {
		answer += "Sec-WebSocket-Protocol: " + strings.TrimSpace(protocol) + "\r\n"
	}
	if _, err := io.WriteString(conn, answer+"\r\n"); err == nil {
		_, _ = io.Copy(&frames{proxy: p, exchange: e}, buffered.Reader)
	}
}

func (p *Proxy) dial(r *http.Request) (net.Conn, error) {
	host := hostPort(r.URL)
	conn, err := p.net.connect(r.Context(), "tcp", host)
	if err != nil || r.URL.Scheme != "https" {
		return conn, err
	}
	t := tls.Client(conn, &tls.Config{ServerName: r.URL.Hostname(), NextProtos: []string{"http/1.1"}, InsecureSkipVerify: true, VerifyConnection: p.checkCertificate})
	if err := t.HandshakeContext(r.Context()); err != nil {
		conn.Close()
		return nil, err
	}
	return t, nil
}

func hostPort(u *url.URL) string {
	if port := u.Port(); port != "" {
		return net.JoinHostPort(u.Hostname(), port)
	}
	if u.Scheme == "https" {
		return net.JoinHostPort(u.Hostname(), "443")
	}
	return net.JoinHostPort(u.Hostname(), "80")
}

// frames reads WebSocket frames off the bytes that a browser sends (RFC 6455
// section 5.2). It is a Writer that never fails: what it cannot read it leaves.
type frames struct {
	proxy    *Proxy
	exchange *Exchange
	pending  []byte
	message  []byte
	skip     uint64 // bytes of a frame that is too large to keep
	lost     bool
}

var errShort = errors.New("the frame is not whole yet")

func (f *frames) Write(b []byte) (int, error) {
	size := len(b)
	if f.lost {
		return size, nil
	}
	if f.skip > 0 {
		n := min(f.skip, uint64(len(b)))
		f.skip -= n
		b = b[n:]
	}
	f.pending = append(f.pending, b...)
	for len(f.pending) > 0 && f.skip == 0 {
		if err := f.one(); err != nil {
			break
		}
	}
	return size, nil
}

// one takes one frame off the pending bytes.
func (f *frames) one() error {
	b := f.pending
	if len(b) < 2 {
		return errShort
	}
	final, opcode, masked := b[0]&0x80 != 0, b[0]&0x0f, b[1]&0x80 != 0
	length, at := uint64(b[1]&0x7f), 2
	switch length {
	case 126:
		if len(b) < 4 {
			return errShort
		}
		length, at = uint64(binary.BigEndian.Uint16(b[2:])), 4
	case 127:
		if len(b) < 10 {
			return errShort
		}
		length, at = binary.BigEndian.Uint64(b[2:]), 10
	}
	var mask [4]byte
	if masked {
		if len(b) < at+4 {
			return errShort
		}
		copy(mask[:], b[at:])
		at += 4
	}
	keep := min(length, frameKept)
	if uint64(len(b)-at) < keep {
		return errShort
	}
	data := make([]byte, keep)
	for i := range data {
		data[i] = b[at+i] ^ mask[i%4]
	}
	if opcode < 8 && len(f.message) < bodyKept { // a control frame may stand between the parts of a message
		f.message = append(f.message, data...)
	}
	rest := uint64(len(b) - at)
	took := min(length, rest)
	f.skip = length - took
	f.pending = append(f.pending[:0], b[uint64(at)+took:]...)
	switch {
	case opcode >= 8 && len(data) > 2:
		f.tell(data) // a reason for closing, a ping: words go there too
	case opcode < 8 && final:
		f.tell(f.message)
		f.message = nil
	}
	return nil
}

func (f *frames) tell(data []byte) {
	p := f.proxy
	p.mu.Lock()
	defer p.mu.Unlock()
	p.last = time.Now()
	if len(f.exchange.Frames) < mostFrames {
		f.exchange.Frames = append(f.exchange.Frames, Frame{At: p.now(), Data: data, Mark: p.mark})
	}
}

// silent takes what a stranger's broken connection would have net/http print.
var silent = slog.NewLogLogger(slog.DiscardHandler, slog.LevelError)
