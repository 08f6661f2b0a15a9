cdef bytes certificate_verify_content(bint by_server, bytes transcript_hash)
cpdef bytes sign(object private_key, int scheme, bytes content)
cpdef int verify(
    object public_key, tuple schemes, int scheme, bytes signature, bytes content
) except -1
