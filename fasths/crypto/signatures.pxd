cdef bytes certificate_verify_content(bint by_server, bytes transcript_hash)
cpdef tuple tls12_schemes(tuple schemes)
cpdef int authentication_of(int scheme) except -1
cpdef bytes sign(object private_key, int scheme, bytes content)
cpdef int verify(
    object public_key, tuple schemes, int scheme, bytes signature, bytes content
) except -1
