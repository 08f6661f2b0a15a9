package main

import (
	"crypto/tls"
	"encoding/json"
	"os"
)

// sessionFile is a cache of one session, for clients that run one after the other.
type sessionFile string

type savedSession struct {
	Ticket, State []byte
}

func (path sessionFile) Get(string) (*tls.ClientSessionState, bool) {
	text, err := os.ReadFile(string(path))
	if err != nil {
		return nil, false
	}
	var saved savedSession
	if err := json.Unmarshal(text, &saved); err != nil {
		fail("session", err)
	}
	state, err := tls.ParseSessionState(saved.State)
	if err != nil {
		fail("session", err)
	}
	session, err := tls.NewResumptionState(saved.Ticket, state)
	if err != nil {
		fail("session", err)
	}
	return session, true
}

func (path sessionFile) Put(_ string, session *tls.ClientSessionState) {
	if session == nil {
		os.Remove(string(path))
		return
	}
	ticket, state, err := session.ResumptionState()
	if err != nil {
		fail("session", err)
	}
	encoded, err := state.Bytes()
	if err != nil {
		fail("session", err)
	}
	text, err := json.Marshal(savedSession{ticket, encoded})
	if err != nil {
		fail("session", err)
	}
	if err := os.WriteFile(string(path), text, 0o600); err != nil {
		fail("session", err)
	}
}
