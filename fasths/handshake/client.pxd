from fasths.handshake.base cimport Handshake

cdef int choose_certificate_types(
    Handshake self, int client_type, int server_type, bint server_shows=*
) except -1
