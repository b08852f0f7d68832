package clamav

import (
	"bufio"
	"context"
	"encoding/binary"
	"errors"
	"io"
	"net"
	"time"
)

// How long one answer may take. The engine itself ends a scan after maxScanTime.
const (
	chunkTime  = 10 * time.Second
	answerTime = maxScanTime + 10*time.Second
	pingTime   = 5 * time.Second
)

// chunk is how much goes to the engine at a time.
const chunk = 64 << 10

// scan streams r to clamd at a socket (INSTREAM). It always reads r to its end
// or its error, because the same bytes are being sealed elsewhere. The error is
// r's own; what goes wrong with clamd is an Answer.
func scan(ctx context.Context, socket string, r io.Reader) (Answer, error) {
	conn, err := dial(ctx, socket)
	if err != nil {
		return drain(Answer{Why: Down}, r)
	}
	defer conn.Close()
	stop := context.AfterFunc(ctx, func() { conn.SetDeadline(time.Unix(1, 0)) })
	defer stop()
	out := bufio.NewWriterSize(conn, chunk+4)
	conn.SetWriteDeadline(time.Now().Add(chunkTime))
	if _, err := out.WriteString("zINSTREAM\x00"); err != nil {
		return drain(Answer{Why: Down}, r)
	}
	buf := make([]byte, chunk)
	defer clear(buf)
	for {
		n, err := io.ReadFull(r, buf)
		if n > 0 {
			conn.SetWriteDeadline(time.Now().Add(chunkTime))
			if send(out, buf[:n]) != nil { // it says why before it hangs up
				return drain(answer(ctx, socket, conn, time.Second), r)
			}
		}
		if errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) {
			break
		}
		if err != nil {
			return Answer{Why: Interrupted}, err
		}
	}
	if send(out, nil) != nil {
		return answer(ctx, socket, conn, time.Second), nil
	}
	return answer(ctx, socket, conn, answerTime), nil
}

func send(out *bufio.Writer, b []byte) error {
	var size [4]byte
	binary.BigEndian.PutUint32(size[:], uint32(len(b))) //nolint:gosec // at most one chunk
	if _, err := out.Write(size[:]); err != nil {
		return err
	}
	if _, err := out.Write(b); err != nil {
		return err
	}
	return out.Flush()
}

// answer waits for the one line. Between two looks at the clock it pings: an
// engine that hangs is not waited for as long as one that works.
func answer(ctx context.Context, socket string, conn net.Conn, wait time.Duration) Answer {
	end := time.Now().Add(wait)
	for {
		conn.SetReadDeadline(time.Now().Add(min(pingTime, time.Until(end))))
		line, err := readLine(conn)
		if err == nil {
			return ParseReply(line)
		}
		late, ok := errors.AsType[net.Error](err)
		switch {
		case !ok || !late.Timeout() || line != "" || ctx.Err() != nil:
			return Answer{Why: Down}
		case !time.Now().Before(end):
			return Answer{Why: TooLong}
		case !pongs(ctx, socket):
			return Answer{Why: Down}
		}
	}
}

func pongs(ctx context.Context, socket string) bool {
	said, err := ask(ctx, socket, "PING")
	return err == nil && said == "PONG\x00"
}

// drain reads what is left of r.
func drain(a Answer, r io.Reader) (Answer, error) {
	_, err := io.Copy(io.Discard, r)
	if err != nil {
		a.Why = Interrupted
	}
	return a, err
}

// ask sends one command and returns its one line.
func ask(ctx context.Context, socket, command string) (string, error) {
	conn, err := dial(ctx, socket)
	if err != nil {
		return "", err
	}
	defer conn.Close()
	conn.SetDeadline(time.Now().Add(pingTime))
	if _, err := conn.Write([]byte("z" + command + "\x00")); err != nil {
		return "", err
	}
	return readLine(conn)
}

func dial(ctx context.Context, socket string) (net.Conn, error) {
	return (&net.Dialer{Timeout: pingTime}).DialContext(ctx, "unix", socket)
}

// mostReply bounds an answer: the engine is a stranger too.
const mostReply = 4 << 10

// readLine reads to the zero byte. A line that breaks off before it is an error:
// half an answer could read as another one.
func readLine(r io.Reader) (string, error) {
	line, err := bufio.NewReaderSize(io.LimitReader(r, mostReply), mostReply).ReadString(0)
	if errors.Is(err, io.EOF) {
		err = io.ErrUnexpectedEOF
	}
	return line, err
}
