import { expect } from 'chai';
import { ConfigurationError } from '../../src/config/load.ts';
import { load } from './support.ts';

function complaintOf(environment: Readonly<Record<string, string>>): string {
  try {
    load({ environment });
  } catch (thrown) {
    if (thrown instanceof ConfigurationError) return thrown.message;
    throw thrown;
  }
  return expect.fail('was taken');
}

describe('the settings of cloud secret stores', () => {
  it('are off unless they are given', () => {
    expect(load().configuration.secretStores).to.include({
      aws: undefined,
      azure: undefined,
      gcp: undefined,
    });
  });

  it('switch each cloud on by itself', () => {
    const { aws, azure, gcp } = load({
      environment: {
        DELEGATE_AWS_REGION: 'us-gov-west-1',
        DELEGATE_AZURE_VAULT_URL: 'https://name.vault.azure.net',
        DELEGATE_GCP_PROJECT: 'example.com:my-project',
        DELEGATE_GCP_ENDPOINT: 'https://secretmanager-mine.p.googleapis.com',
      },
    }).configuration.secretStores;
    expect(aws).to.deep.equal({ region: 'us-gov-west-1', endpoint: undefined });
    expect(azure).to.deep.equal({
      vaultUrl: 'https://name.vault.azure.net',
      authorityHost: 'https://login.microsoftonline.com',
    });
    expect(gcp).to.deep.equal({
      project: 'example.com:my-project',
      endpoint: 'https://secretmanager-mine.p.googleapis.com',
    });
  });

  for (const [variable, value] of [
    ['DELEGATE_AWS_REGION', 'eu-central-1.evil.example'],
    ['DELEGATE_AWS_REGION', 'eu-central-1/'],
    ['DELEGATE_AWS_ENDPOINT', 'http://secretsmanager.example.com'],
    ['DELEGATE_AZURE_VAULT_URL', 'http://name.vault.azure.net'],
    ['DELEGATE_AZURE_VAULT_URL', 'https://user:password@name.vault.azure.net'],
    ['DELEGATE_AZURE_AUTHORITY_HOST', 'login.microsoftonline.us'],
    ['DELEGATE_GCP_PROJECT', '../other'],
    ['DELEGATE_GCP_PROJECT', 'My Project'],
  ] as const) {
    it(`are refused where they lead elsewhere or nowhere: ${variable} "${value}"`, () => {
      expect(complaintOf({ [variable]: value })).to.contain(variable);
    });
  }

  it('do not take an empty address for that of Entra ID', () => {
    const environment = {
      DELEGATE_AZURE_VAULT_URL: 'https://name.vault.azure.net',
      DELEGATE_AZURE_AUTHORITY_HOST: '',
    };
    expect(complaintOf(environment)).to.contain('DELEGATE_AZURE_AUTHORITY_HOST');
  });

  it('do not take an endpoint for a cloud that is off', () => {
    const endpoint = 'https://vpce-1.secretsmanager.eu-central-1.vpce.amazonaws.com';
    expect(complaintOf({ DELEGATE_AWS_ENDPOINT: endpoint })).to.contain('DELEGATE_AWS_REGION');
    expect(complaintOf({ DELEGATE_GCP_ENDPOINT: 'https://one.example.com' })).to.contain(
      'DELEGATE_GCP_PROJECT',
    );
  });
});
