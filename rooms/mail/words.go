package mail

import (
	"errors"
	"net/http"

	"quietroom/ground/web"
	"quietroom/rooms/mail/smtp"
)

// told is what failed at a server, in words, and what to do about it.
func told(why smtp.Why) (text, fix string) {
	switch why {
	case smtp.Unreachable:
		return "The mail server does not answer.", "Compare its name and port with what your provider says. If they are right, it may be down, or a firewall may be in between."
	case smtp.Greeting:
		return "The mail server answers, and will not talk now.", "Try again in some minutes. If it stays so, ask your provider."
	case smtp.NoTLS:
		return "The mail server offers no encryption there, so nothing was sent.", "Choose the other kind of encryption, usually with port 465 or 587, or ask your provider for a server with TLS."
	case smtp.Handshake:
		return "The mail server offers only encryption that is too old, so nothing was sent.", "Ask your provider for a server with TLS 1.2 or newer, and compare the kind of encryption with the port."
	case smtp.Certificate:
		return "The mail server’s certificate is not one for this name that can be trusted, so nothing was sent.", "Use exactly the name that your provider gives. If it is right, tell your provider: the certificate may have run out, or somebody may be in between."
	case smtp.Login:
		return "The mail server refuses this user and password.", "Type them again. Some providers want a password made for programs, or have to allow sending for this user first."
	case smtp.Sender:
		return "The mail server does not let this user send from this address.", "Use the user’s own address as the sender, or ask your provider to allow it."
	case smtp.Recipient:
		return "The mail server does not take mail for this address.", "Look at the address letter by letter."
	case smtp.Content:
		return "The mail server does not take the message.", "Ask your provider what it has against it."
	}
	return "The connection to the mail server broke.", "Try again in a minute."
}

// notSent is what an owner reads whose test message did not go.
func notSent(err error) error {
	e, ok := errors.AsType[*smtp.Error](err)
	if !ok {
		return err
	}
	text, fix := told(e.Why)
	if n := numbers(e); n != "" {
		text += " It says " + n + "."
	}
	return &web.Error{Status: http.StatusUnprocessableEntity, Text: text, Fix: fix, Back: "/mail/server"}
}
