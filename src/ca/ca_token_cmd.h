#ifndef CA_CA_TOKEN_CMD_H
#define CA_CA_TOKEN_CMD_H
/* mesh ca token create | list | revoke ID: asks the authority (or control) that serves, on its unix socket. */

/* argv[0] is "token"; returns the exit status: 0, 1 not answered or refused, 2 usage. */
int ca_token_cmd(int argc, char **argv);
#endif
